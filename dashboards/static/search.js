// The search page: suggestions while somebody types, keys, and the words behind a mark of a strip.
import { arrowsThrough, fetchJson, slashTo } from "./common.js";

const box = document.getElementById("q");
const list = document.getElementById("suggestions");
const spoken = document.getElementById("suggested");
let chosen = -1;
let asked = 0;
let timer = 0;

slashTo(box);
arrowsThrough("a.moment, a.card", { from: () => true });
box.setAttribute("role", "combobox");
box.setAttribute("aria-controls", "suggestions");
box.setAttribute("aria-autocomplete", "list");
close();

box.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(suggest, 120);
});
box.addEventListener("blur", () => setTimeout(close, 150));
box.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" && list.hidden) {
    const first = document.querySelector("a.moment, a.card");
    if (first) { event.preventDefault(); first.focus(); }
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !list.hidden) {
    event.preventDefault();
    choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter" && chosen >= 0 && !list.hidden) {
    event.preventDefault();
    list.children[chosen].click();
  } else if (event.key === "Escape") {
    close();
  }
});

async function suggest() {
  const text = box.value.trim();
  const mine = ++asked;
  if (text.length < 2) return close();
  try {
    const found = await fetchJson(`/api/suggest?q=${encodeURIComponent(text)}`);
    if (mine === asked) show(found);
  } catch {
    close();
  }
}

function show(found) {
  const topics = found.topics.map((topic) => [topic.label, "topic", `/?topic=${encodeURIComponent(topic.label)}`]);
  const videos = found.videos.map((video) => [video.title || video.key, "video", `/watch/${video.video_id}`]);
  const items = [...topics, ...videos];
  list.replaceChildren(...items.map(([name, kind, address], number) => {
    const item = document.createElement("li");
    const text = document.createElement("span");
    const note = document.createElement("span");
    text.textContent = name;
    text.dir = "auto";
    note.textContent = kind;
    note.className = "hint";
    item.append(text, note);
    item.id = `suggestion-${number}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    item.addEventListener("mousedown", (event) => event.preventDefault());
    item.addEventListener("click", () => location.assign(address));
    return item;
  }));
  chosen = -1;
  list.hidden = !items.length;
  box.setAttribute("aria-expanded", String(!list.hidden));
  box.removeAttribute("aria-activedescendant");
  spoken.textContent = items.length ? `${items.length} suggestions` : "";
}

function choose(number) {
  const count = list.children.length;
  chosen = number < 0 ? -1 : Math.min(number, count - 1);
  [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
  if (chosen < 0) box.removeAttribute("aria-activedescendant");
  else box.setAttribute("aria-activedescendant", list.children[chosen].id);
}

function close() {
  list.hidden = true;
  chosen = -1;
  box.setAttribute("aria-expanded", "false");
  box.removeAttribute("aria-activedescendant");
}

// What lies behind a mark is told below the strip, for the mouse and for the keyboard alike. One mark of a strip is in the
// order of the Tab key, the arrow keys go to the others.
for (const strip of document.querySelectorAll(".strip")) {
  const under = strip.querySelector(".under");
  const before = [...under.childNodes];
  const marks = [...strip.querySelectorAll("a[data-at]")];
  marks[0]?.setAttribute("tabindex", "0");
  const tell = (event) => {
    const mark = event.target.closest("a[data-at]");
    if (mark) under.textContent = `${mark.dataset.at}  ${mark.dataset.text}`;
  };
  const forget = () => under.replaceChildren(...before);
  strip.querySelector("svg").addEventListener("mouseover", tell);
  strip.querySelector("svg").addEventListener("focusin", tell);
  strip.querySelector("svg").addEventListener("mouseleave", forget);
  strip.querySelector("svg").addEventListener("focusout", forget);
  strip.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = step && marks[marks.indexOf(document.activeElement) + step];
    if (next) {
      event.preventDefault();
      marks.forEach((mark) => mark.setAttribute("tabindex", mark === next ? "0" : "-1"));
      next.focus();
    }
  });
}

for (const picture of document.querySelectorAll("img")) {
  // A video without pictures has none to show.
  picture.addEventListener("error", () => { picture.removeAttribute("src"); });
}
