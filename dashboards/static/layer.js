// Writing on the screen as a layer above the picture: text that can be marked and copied where it is to be read.
import { fetchJson } from "./common.js";

const AHEAD_MS = 120000; // that is fetched at a time
const REST_MS = 5000;

export class Layer {
  constructor(video, stage, layer, button) {
    this.video = video;
    this.layer = layer;
    this.id = stage.dataset.video;
    this.lines = [];
    this.from = 0;
    this.until = 0; // what was fetched
    this.asking = false;
    this.drawn = null;
    button.hidden = false;
    button.addEventListener("click", () => {
      this.layer.hidden = !this.layer.hidden;
      button.setAttribute("aria-pressed", String(!this.layer.hidden));
      this.drawn = null;
      this.show();
    });
    for (const kind of ["timeupdate", "seeked", "loadedmetadata"]) video.addEventListener(kind, () => this.show());
    new ResizeObserver(() => this.place()).observe(video);
  }

  async show() {
    if (this.layer.hidden) return;
    this.place();
    const ms = this.video.currentTime * 1000;
    if (ms < this.from || ms >= this.until) await this.fetch(ms);
    const standing = this.lines.filter((line) => line.start_ms <= ms && ms < line.end_ms);
    const key = standing.map((line) => `${line.start_ms} ${line.text}`).join("\n");
    if (key === this.drawn) return;
    this.drawn = key;
    this.layer.replaceChildren(...standing.map((line) => this.element(line)));
  }

  // Fetched once for some minutes; a server that does not answer is left alone for a while.
  async fetch(ms) {
    if (this.asking) return;
    this.asking = true;
    try {
      const from = Math.floor(ms);
      const found = await fetchJson(`/api/videos/${this.id}/screen?from_ms=${from}&to_ms=${from + AHEAD_MS}`);
      this.lines = found.lines;
      this.from = from;
      this.until = found.next_ms ?? from + AHEAD_MS;
    } catch {
      this.lines = [];
      this.from = Math.floor(ms);
      this.until = this.from + REST_MS;
    } finally {
      this.asking = false;
    }
  }

  element(line) {
    const made = document.createElement("span");
    made.textContent = line.text;
    made.dir = "auto";
    for (const [name, value] of [["left", line.x], ["top", line.y], ["width", line.width], ["height", line.height]]) {
      made.style.setProperty(name, `${100 * value}%`);
    }
    made.style.setProperty("--high", line.height);
    return made;
  }

  // The picture may be smaller than the player: it keeps its own shape.
  place() {
    const { clientWidth: width, clientHeight: height, videoWidth, videoHeight } = this.video;
    if (this.layer.hidden || !videoWidth) return;
    const scale = Math.min(width / videoWidth, height / videoHeight);
    const [shownWidth, shownHeight] = [videoWidth * scale, videoHeight * scale];
    const box = this.layer.style;
    box.setProperty("left", `${this.video.offsetLeft + (width - shownWidth) / 2}px`);
    box.setProperty("top", `${this.video.offsetTop + (height - shownHeight) / 2}px`);
    box.setProperty("width", `${shownWidth}px`);
    box.setProperty("height", `${shownHeight}px`);
    box.setProperty("--picture", `${shownHeight}px`);
  }
}
