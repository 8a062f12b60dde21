// Charts: each is fetched by itself, and its own form changes it alone.
import { copyText } from "./common.js";

async function load(panel, address) {
  const focused = panel.contains(document.activeElement) ? document.activeElement.name : null;
  panel.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    // The server's own page, parsed without running anything: a template's content is inert until it is put in.
    const made = new DOMParser().parseFromString(text, "text/html");
    panel.replaceChildren(...made.body.childNodes);
  } catch (error) {
    const told = document.createElement("p");
    told.className = "notice";
    told.textContent = `This chart could not be made (${error.message}).`;
    panel.append(told);
  }
  panel.setAttribute("aria-busy", "false");
  wake(panel);
  if (focused) panel.querySelector(`[name="${focused}"]`)?.focus();
}

function wake(panel) {
  for (const button of panel.querySelectorAll("button.copy")) {
    button.hidden = false;
    const code = button.closest("details").querySelector("code");
    button.addEventListener("click", () => copyText(code.textContent, button, code));
  }
  if (!panel.dataset.part) return;
  panel.querySelector("form.own")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = new URLSearchParams(new FormData(event.target));
    // The address of the page keeps what was typed, so that it can be sent to somebody.
    const there = new URL(location.href);
    for (const [name, value] of asked) {
      there.searchParams.set(name, value);
      keep(name, value);
    }
    history.replaceState(null, "", there);
    asked.set("part", "1");
    load(panel, `${event.target.getAttribute("action")}?${asked}`);
  });
}

// The filters' form sends what the charts' own forms were given along.
function keep(name, value) {
  const form = document.querySelector("form.standing");
  if (!form || [...form.elements].some((field) => field.name === name && field.type !== "hidden")) return;
  const field = form.elements[name] ?? form.appendChild(document.createElement("input"));
  Object.assign(field, { type: "hidden", name, value });
}

for (const panel of document.querySelectorAll(".panel")) {
  if (panel.dataset.part) load(panel, panel.dataset.part);
  else wake(panel);
}
