"use strict";
// The page reads without this: it sorts tables, and saves what is chosen of the labels to check.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[place].dataset.v ?? row.cells[place].textContent.trim();
      const numbers = [...table.tBodies[0].rows].every((row) => value(row) !== "" && !isNaN(value(row)));
      const compare = (a, b) => (numbers ? value(a) - value(b)
        : value(a).localeCompare(value(b), undefined, { numeric: true }));
      const rows = [...table.tBodies[0].rows].sort((a, b) => (up ? compare(a, b) : compare(b, a)));
      table.tBodies[0].append(...rows);
    });
  });
}

const form = document.getElementById("fixes");
if (form) {
  const classes = new Set([...document.querySelectorAll("#vocab option")].map((one) => one.value));
  const cases = [...form.querySelectorAll("fieldset[data-path]")];
  const save = document.getElementById("save");
  const said = document.getElementById("chosen");
  const action = (one) => one.querySelector("input:checked")?.value;
  const label = (one) => one.querySelector("input[type=text]");

  const look = () => {
    const counts = { keep: 0, relabel: 0, drop: 0 };
    for (const one of cases) {
      const field = label(one);
      const wrong = action(one) === "relabel" && !classes.has(field.value.trim());
      field.setCustomValidity(wrong ? "This is no class of the data." : "");
      if (action(one)) counts[action(one)] += 1;
    }
    const chosen = Object.entries(counts).filter(([, n]) => n).map(([name, n]) => `${n} to ${name}`);
    said.textContent = chosen.join(", ") || "Nothing is chosen yet.";
    save.disabled = !chosen.length;
  };
  form.addEventListener("change", look);
  form.addEventListener("input", (event) => {
    if (event.target.type === "text") {
      event.target.closest("fieldset").querySelector("[value=relabel]").checked = true;
      look();
    }
  });

  const quoted = (text) => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    look();
    if (!form.reportValidity()) return;
    const rows = cases.filter(action).map((one) => {
      const what = action(one);
      const now = what === "relabel" ? label(one).value.trim() : what === "keep" ? one.dataset.label : "";
      return [one.dataset.path, what, now].map(quoted).join(",");
    });
    const decided = new Set(cases.filter(action).map((one) => one.dataset.path));
    const earlier = [...document.querySelectorAll("#earlier li")].map((one) => one.dataset)
      .filter((one) => !decided.has(one.path))
      .map((one) => [one.path, one.action, one.label].map(quoted).join(","));
    const text = ["path,action,label", ...earlier, ...rows].join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = form.dataset.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  look();
}
