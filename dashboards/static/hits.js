// Search within a video: the words that match are marked, buttons go from one to the next.
import { fetchJson } from "./common.js";

export class Hits {
  constructor(stage, lines, spansOf, go) {
    this.stage = stage;
    this.lines = lines;
    this.spansOf = spansOf;
    this.go = go;
    this.found = [];
    this.shown = "";
    this.at = -1;
    this.form = document.querySelector(".within");
    this.box = document.getElementById("within");
    this.count = document.getElementById("count");
    this.buttons = [document.getElementById("previous"), document.getElementById("next")];
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask(true);
    });
    this.box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && this.found.length && this.box.value.trim() === this.asked) {
        event.preventDefault();
        this.step(event.shiftKey ? -1 : 1);
      }
    });
    this.buttons[0].addEventListener("click", () => this.step(-1));
    this.buttons[1].addEventListener("click", () => this.step(1));
    if (this.box.value.trim()) this.ask(false);
  }

  async ask(jump) {
    const text = this.box.value.trim();
    this.asked = text;
    this.clear();
    const there = new URL(location.href);
    if (text) there.searchParams.set("q", text); else there.searchParams.delete("q");
    history.replaceState(null, "", there);
    if (!text) return this.tell("");
    const mode = this.stage.dataset.mode || "words";
    try {
      const answer = await fetchJson(`/api/videos/${this.stage.dataset.video}/hits?q=${encodeURIComponent(text)}&mode=${mode}`);
      if (text !== this.asked) return;
      this.found = answer.hits;
      this.instead = answer.instead ? ` for “${answer.instead}”` : "";
      this.read(answer.screen);
    } catch (error) {
      return this.tell(error.message);
    }
    for (const hit of this.found) for (const span of this.spans(hit)) span.classList.add("hit");
    for (const button of this.buttons) button.hidden = !this.found.length;
    if (!this.found.length) return this.tell(`Not said here${this.shown}`);
    const at = Number(this.stage.dataset.at ?? -1);
    const near = this.found.findIndex((hit) => hit.start_ms >= at);
    this.at = (near < 0 ? 0 : near);
    if (jump) this.at = 0;
    this.choose(jump);
  }

  // Texts on the screen that have something of the query stand in the margin.
  read(texts) {
    const found = new Set(texts.map((one) => `${one.start_ms} ${one.text}`));
    for (const element of document.querySelectorAll(".shown li")) {
      const key = `${element.querySelector("[data-seek]").dataset.seek} ${element.querySelector("span").textContent}`;
      element.classList.toggle("found", found.has(key));
    }
    this.shown = texts.length ? `, ${texts.length} on the screen` : "";
  }

  step(by) {
    if (!this.found.length) return;
    this.at = (this.at + by + this.found.length) % this.found.length;
    this.choose(true);
  }

  choose(jump) {
    for (const span of document.querySelectorAll(".hit.chosen")) span.classList.remove("chosen");
    const hit = this.found[this.at];
    for (const span of this.spans(hit)) span.classList.add("chosen");
    this.tell(`${this.at + 1} of ${this.found.length}${this.instead}${this.shown}`);
    if (jump) this.go(this.lineOf(hit.words[0]), hit.start_ms);
  }

  lineOf(word) {
    let low = 0;
    for (let step = this.lines.length; step > 0; step >>= 1) {
      while (low + step < this.lines.length && this.lines[low + step].first <= word) low += step;
    }
    return this.lines[low];
  }

  spans(hit) {
    return hit.words.map((word) => {
      const line = this.lineOf(word);
      return this.spansOf(line)[word - line.first];
    }).filter(Boolean);
  }

  clear() {
    for (const span of document.querySelectorAll(".line .hit")) span.classList.remove("hit", "chosen");
    this.read([]);
    this.found = [];
    this.at = -1;
    for (const button of this.buttons) button.hidden = true;
  }

  tell(text) {
    this.count.textContent = text;
  }
}
