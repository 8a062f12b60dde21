// The player: starts before a hit, stops at the end of a range, and takes the web copy where the original does not play.
import { fetchJson } from "./common.js";

const POLL_MS = 1000;

export class Player {
  lead = 1000; // ms that are played before a hit

  constructor(video, stage, told) {
    this.video = video;
    this.told = told;
    this.id = stage.dataset.video;
    this.stop = stage.dataset.to ? Number(stage.dataset.to) : null;
    this.asked = false;
    const at = stage.dataset.at === undefined ? null : Math.max(0, Number(stage.dataset.at) - this.lead);
    this.start = at;
    for (const track of video.textTracks) track.mode = "showing";
    if (at !== null) this.seek(at);
    if (at !== null) video.play().catch(() => {}); // some browsers want a click first
    video.addEventListener("timeupdate", () => {
      if (this.stop !== null && video.currentTime * 1000 >= this.stop) {
        this.stop = null;
        video.pause();
      }
    });
    if (stage.dataset.plays === "no") this.copy();
    video.addEventListener("error", () => this.copy());
    const sources = video.querySelectorAll("source");
    sources[sources.length - 1]?.addEventListener("error", () => this.copy());
    if (video.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) this.copy();
  }

  seek(ms) {
    const seconds = Math.max(0, ms) / 1000;
    if (this.video.readyState >= HTMLMediaElement.HAVE_METADATA) {
      this.video.currentTime = seconds;
    } else {
      this.start = Math.max(0, ms);
      this.video.addEventListener("loadedmetadata", () => { this.video.currentTime = this.start / 1000; }, { once: true });
    }
  }

  playFrom(ms) {
    this.stop = null;
    this.seek(ms);
    this.video.play().catch(() => {});
  }

  // Ask for the copy once, say how far it is, and play it when it is there.
  async copy() {
    if (this.asked) return;
    this.asked = true;
    try {
      let state = await fetchJson(`/api/videos/${this.id}/web-copy`, { method: "POST" });
      while (state.state === "waiting" || state.state === "making") {
        this.say(state.state === "making"
          ? `This browser needs another copy of the video: ${Math.round(100 * state.progress)} % made`
          : "A copy that this browser can play is waiting for its turn");
        await new Promise((done) => setTimeout(done, POLL_MS));
        state = await fetchJson(`/api/videos/${this.id}/web-copy`);
      }
      if (state.state !== "ready") throw new Error(state.error ?? "It cannot be made.");
      this.say("");
      const wasAt = this.start ?? this.video.currentTime * 1000;
      for (const source of this.video.querySelectorAll("source")) source.remove();
      this.video.src = `/media/${this.id}/web.mp4`;
      if (wasAt) this.seek(wasAt);
      this.video.load();
      if (this.start !== null) this.video.play().catch(() => {});
    } catch (error) {
      this.say(`The video cannot be played here. ${error.message}`);
    }
  }

  say(text) {
    this.told.textContent = text;
    this.told.hidden = !text;
  }
}
