// The SQL page: Ctrl Enter runs the query; one that would not fit into an address is not sent, and so not lost.
import { slashTo } from "./common.js";

const box = document.getElementById("sql");
slashTo(box);
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    box.form.requestSubmit();
  }
});

// Without script, as many characters as fit when each needs the most bytes; with it, what really fits.
const LONGEST = 32_000;
box.maxLength = 20_000;
document.getElementById("longest").textContent = "20,000 characters (32 kB as an address)";

function measure() {
  const address = new URLSearchParams({ q: box.value.replace(/\r?\n/g, "\r\n") });
  const fits = String(address).length <= LONGEST;
  box.setCustomValidity(fits ? "" : "This query is too long to be sent from here. Shorten it, or send it with POST /api/sql.");
}
box.addEventListener("input", measure);
measure();
