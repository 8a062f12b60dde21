// The SQL page: Ctrl Enter runs the query.
import { slashTo } from "./common.js";

const box = document.getElementById("sql");
slashTo(box);
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    box.form.requestSubmit();
  }
});
