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
    this.place = at ?? 0; // ms: what is shown, or will be
    this.going = at !== null; // whether it plays, or would if it could
    for (const track of video.textTracks) track.mode = "showing";
    if (at !== null) this.seek(at);
    if (at !== null) video.play().catch(() => {}); // some browsers want a click first
    video.addEventListener("play", () => { this.going = true; });
    video.addEventListener("pause", () => { if (!video.error) this.going = false; });
    video.addEventListener("timeupdate", () => {
      // While another source is loaded, the time is 0 for a moment.
      if (video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && !video.error) this.place = video.currentTime * 1000;
      if (this.stop !== null && video.currentTime * 1000 >= this.stop) {
        this.stop = null;
        video.pause();
      }
    });
    this.original = stage.dataset.plays === "perhaps"; // the file may play, at other times
    if (stage.dataset.plays !== "yes") this.copy();
    video.addEventListener("error", () => {
      if (this.disconnected()) this.brokeOff();
      else if (this.video.hasAttribute("src")) this.say("The video cannot be played here.");
      else this.copy();
    });
    const sources = video.querySelectorAll("source");
    sources[sources.length - 1]?.addEventListener("error", () => this.copy());
    if (video.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) this.copy();
  }

  seek(ms) {
    this.place = Math.max(0, ms);
    if (this.video.readyState >= HTMLMediaElement.HAVE_METADATA) {
      this.video.currentTime = this.place / 1000;
    } else {
      const wanted = this.place;
      this.video.addEventListener("loadedmetadata", () => {
        if (this.place === wanted) this.video.currentTime = wanted / 1000; // else another place was wanted meanwhile
      }, { once: true });
    }
  }

  playFrom(ms) {
    this.stop = null;
    this.going = true;
    this.seek(ms);
    if (this.disconnected()) this.load();
    else this.video.play().catch(() => {});
  }

  disconnected() {
    return this.video.error?.code === MediaError.MEDIA_ERR_NETWORK;
  }

  // Begin anew, with the sources there are now, at the place where it was.
  load() {
    const { place, going } = this;
    this.say("");
    this.video.load();
    this.seek(place);
    if (going) this.video.play().catch(() => {});
  }

  // The connection, not the video, is at fault: another copy would not help.
  brokeOff() {
    const again = document.createElement("button");
    again.type = "button";
    again.textContent = "Try again";
    again.addEventListener("click", () => this.load());
    this.say("The connection broke off. ", again);
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
      for (const source of this.video.querySelectorAll("source")) source.remove();
      this.video.src = `/media/${this.id}/web.mp4`;
      this.load();
    } catch (error) {
      if (!this.original) return this.say(`The video cannot be played here. ${error.message}`);
      this.video.src = `/media/${this.id}/original`;
      this.load();
      this.say(`The file itself is played; words may not be where they are said. ${error.message}`);
    }
  }

  say(text, ...more) {
    this.told.replaceChildren(text, ...more);
    this.told.hidden = !text;
  }
}
