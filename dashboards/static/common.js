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

// Arrow keys go through the links of a list; from anywhere else where nothing is typed, they go to the one that `begin` names,
// else to the first. A field keeps its own keys: arrows choose among radio buttons too.
export function arrowsThrough(selector, { from = null, begin = () => null } = {}) {
  document.addEventListener("keydown", (event) => {
    if ((event.key !== "ArrowDown" && event.key !== "ArrowUp") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.defaultPrevented || typing(event.target) || event.target.closest?.("input, video, summary, [role=listbox]")) return;
    const links = [...document.querySelectorAll(selector)];
    const at = links.indexOf(document.activeElement);
    if (at < 0 && from && !from(event)) return;
    const next = at < 0 ? begin() ?? links[0] : links[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) {
      event.preventDefault();
      next.focus();
      next.scrollIntoView({ block: "nearest" });
    }
  });
}

// Copies a text. Where there is no clipboard, which is so on pages without TLS, the element that shows it is marked instead.
export async function copyText(text, button, shown) {
  const said = button.dataset.said ??= button.textContent;
  let lasting = 1500;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    if (shown.select) {
      shown.focus();
      shown.select();
    } else {
      getSelection().selectAllChildren(shown);
    }
    button.textContent = "Press Ctrl C";
    lasting = 4000;
  }
  clearTimeout(button.timer);
  button.timer = setTimeout(() => { button.textContent = said; }, lasting);
}

export async function fetchJson(address, options) {
  const answer = await fetch(address, { ...options, headers: { Accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error?.message ?? `HTTP ${answer.status}`);
  return body;
}
