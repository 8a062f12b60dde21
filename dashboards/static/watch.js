// The watch page: the transcript follows the speech, a word plays from where it is said.
import { Hits } from "./hits.js";
import { Layer } from "./layer.js";
import { Player } from "./player.js";
import { arrowsThrough, copyText, slashTo, typing } from "./common.js";

const stage = document.getElementById("stage");
const video = document.getElementById("player");
const box = document.getElementById("lines");
const resume = document.getElementById("resume");
const playhead = document.getElementById("playhead");
const duration = Number(stage.dataset.duration);
const player = new Player(video, stage, document.getElementById("making"));

const lines = [...document.querySelectorAll(".line")].map((element) => ({
  element,
  start: Number(element.dataset.start),
  end: Number(element.dataset.end),
  first: Number(element.dataset.first),
  words: element.dataset.words.split(",").filter(Boolean).map(Number),
  spans: null,
}));
let following = true;
let expected = -1;
let current = -1;
let speaking = null;

const spansOf = (line) => (line.spans ??= [...line.element.querySelectorAll("p > span")]);

// The last of sorted values that is not after `wanted`; -1 when all are.
function lastUntil(count, valueOf, wanted) {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (valueOf(middle) <= wanted) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function show(ms) {
  const at = lastUntil(lines.length, (n) => lines[n].start, ms);
  if (at !== current) {
    lines[current]?.element.classList.remove("now");
    lines[current]?.element.removeAttribute("aria-current");
    lines[at]?.element.classList.add("now");
    lines[at]?.element.setAttribute("aria-current", "true");
    current = at;
    if (following && at >= 0) scrollTo(lines[at].element);
  }
  let word = null;
  if (at >= 0 && ms < lines[at].end) {
    const line = lines[at];
    word = spansOf(line)[lastUntil(line.words.length, (n) => line.start + line.words[n], ms)] ?? null;
  }
  if (word !== speaking) {
    speaking?.classList.remove("speaking");
    word?.classList.add("speaking");
    speaking = word;
  }
  if (playhead && duration) {
    const x = String(Math.min(1000, (1000 * ms) / duration));
    playhead.setAttribute("x1", x);
    playhead.setAttribute("x2", x);
  }
}

// On a phone the transcript has no scroll bar of its own: the page scrolls, below the video.
const scroller = () => (box.scrollHeight > box.clientHeight + 1 ? box : document.scrollingElement);

function scrollTo(element) {
  const area = scroller();
  const place = element.getBoundingClientRect();
  const top = area === box ? box.getBoundingClientRect().top : video.getBoundingClientRect().bottom;
  const room = (area === box ? box.clientHeight : innerHeight - top) - place.height;
  area.scrollTop += place.top - top - Math.max(0, room) / 3;
  expected = area.scrollTop;
}

function follow(yes) {
  following = yes;
  if (resume) resume.hidden = yes; // nobody speaks: there is nothing to follow
  if (yes && current >= 0) scrollTo(lines[current].element);
}

let frame = 0; // of the one loop that runs while the video plays

function tick() {
  cancelAnimationFrame(frame);
  show(video.currentTime * 1000);
  if (!video.paused && !video.ended) frame = requestAnimationFrame(tick);
}

if (box) {
  // Only a reader scrolls to where we did not; the height of lines not yet drawn is a guess, so a little is forgiven.
  document.addEventListener("scroll", (event) => {
    const area = scroller();
    if (event.target !== box && event.target !== document) return;
    if ((event.target === box) !== (area === box) || expected < 0 || !following || video.paused) return;
    if (Math.abs(area.scrollTop - expected) > 80) follow(false);
  }, { capture: true, passive: true });
  for (const kind of ["wheel", "touchmove"]) {
    box.addEventListener(kind, () => { if (following && current >= 0) follow(false); }, { passive: true });
  }
  resume.addEventListener("click", () => { follow(true); video.focus(); });
  box.addEventListener("click", (event) => {
    if (event.target.closest(".shown")) return;
    const element = event.target.closest(".line");
    if (!element || String(getSelection())) return;
    event.preventDefault();
    const line = lines.find((one) => one.element === element);
    const word = spansOf(line).indexOf(event.target.closest("p > span"));
    player.playFrom(line.start + (word >= 0 ? line.words[word] : 0));
    follow(true);
  });
  const inTranscript = (event) => box.contains(event.target) || event.target === document.body;
  arrowsThrough(".line .time", { from: inTranscript, begin: () => document.querySelector(".line.now .time") });
}

for (const kind of ["play", "playing", "seeked", "timeupdate", "loadedmetadata"]) video.addEventListener(kind, tick);
if (stage.dataset.at) show(Number(stage.dataset.at));

// What is like the moment that plays now, not like the one of the link that led here.
for (const link of document.querySelectorAll("[data-like]")) {
  const now = () => {
    const address = new URL(link.href);
    address.searchParams.set("at", Math.round(video.currentTime * 1000));
    link.href = address.href;
  };
  link.addEventListener("pointerdown", now);
  link.addEventListener("focus", now);
}

document.querySelector(".timeline")?.addEventListener("click", (event) => {
  const band = event.target.closest("[data-seek]");
  const picture = event.currentTarget.querySelector("svg");
  if (!band && !picture.contains(event.target)) return;
  event.preventDefault();
  const place = picture.getBoundingClientRect();
  // A band that was reached by the keyboard is played from its start, one that was clicked, from where it was.
  const ms = event.detail ? (duration * (event.clientX - place.left)) / place.width : Number(band.dataset.seek);
  player.playFrom(ms);
  follow(true);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const own = event.target.closest?.("button, input, summary, video");
  if (event.key === " " && !own) {
    event.preventDefault();
    if (video.paused) video.play(); else video.pause();
  } else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && !event.target.closest?.("input, video")) {
    event.preventDefault();
    video.currentTime = Math.max(0, video.currentTime + (event.key === "ArrowLeft" ? -5 : 5));
  }
});

// What is to be read on the screen, in the margin of the transcript.
document.querySelector(".said").addEventListener("click", (event) => {
  const text = event.target.closest(".shown [data-seek]");
  if (!text) return;
  event.preventDefault();
  player.playFrom(Number(text.dataset.seek));
});
const writing = document.getElementById("writing");
if (writing) new Layer(video, stage, document.getElementById("layer"), writing);

slashTo(document.getElementById("within"));
new Hits(stage, lines, spansOf, (line, ms) => {
  follow(false);
  scrollTo(line.element);
  player.seek(ms - player.lead);
});

// Links to a moment or a range.
const link = document.getElementById("link");
const from = document.getElementById("range-start");
const to = document.getElementById("range-end");
const address = document.getElementById("address");
let begin = null;
const now = () => Math.round(video.currentTime * 1000);
function offer(values, button) {
  const made = new URL(location.pathname, location.href);
  for (const [name, value] of Object.entries(values)) made.searchParams.set(name, value);
  address.value = made.href;
  address.hidden = false;
  copyText(made.href, button, address);
}
link.addEventListener("click", () => offer({ at: now() }, link));
from.addEventListener("click", () => { begin = now(); to.disabled = false; });
to.addEventListener("click", () => offer({ at: Math.min(begin, now()), to: Math.max(begin, now()) }, to));
for (const button of [link, from, to]) button.hidden = false;
address.addEventListener("focus", () => address.select());
