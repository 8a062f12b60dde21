// What several pages use: the keys of the search box and of lists, times as people write them, copying.

export const typing = (element) => element.closest?.("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]");

export function clock(ms) {
  const all = Math.floor(ms / 1000);
  const seconds = String(all % 60).padStart(2, "0");
  const minutes = Math.floor(all / 60) % 60;
  const hours = Math.floor(all / 3600);
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

// A slash puts the cursor into a box, from wherever nothing is typed.
export function slashTo(box) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event.target)) {
      event.preventDefault();
      box.focus();
      box.select();
    }
  });
}

// Arrow keys go through the links of a list; from anywhere else where nothing is typed, down goes to the first.
export function arrowsThrough(selector, { from = null } = {}) {
  document.addEventListener("keydown", (event) => {
    if ((event.key !== "ArrowDown" && event.key !== "ArrowUp") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.defaultPrevented || typing(event.target) || event.target.closest?.("video, summary, [role=listbox]")) return;
    const links = [...document.querySelectorAll(selector)];
    const at = links.indexOf(document.activeElement);
    if (at < 0 && from && !from(event)) return;
    const next = links[at < 0 ? 0 : at + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) {
      event.preventDefault();
      next.focus();
      next.scrollIntoView({ block: "nearest" });
    }
  });
}

export async function copyText(text, button) {
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl C";
  }
  setTimeout(() => { button.textContent = said; }, 1500);
}

export async function fetchJson(address, options) {
  const answer = await fetch(address, { ...options, headers: { Accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error?.message ?? `HTTP ${answer.status}`);
  return body;
}
