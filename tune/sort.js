
// A table is sorted by a click on a head. A page that loads itself again keeps the order.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const said = document.getElementById(table.dataset.order), kept = "order " + location.pathname;
  const compare = (a, b) => {
    const x = Number(a), y = Number(b);
    return isNaN(x) || isNaN(y) ? a.localeCompare(b) : x - y;
  };
  const sort = (column, down) => {
    for (const other of heads) other.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].map(row => [row.cells[column].dataset.key, row]);
    const known = rows.filter(([key]) => key !== ""), empty = rows.filter(([key]) => key === "");
    known.sort(([a], [b]) => down ? compare(b, a) : compare(a, b));
    body.append(...[...known, ...empty].map(([, row]) => row));
    const name = heads[column].title || heads[column].textContent.trim();
    said.textContent = "By " + name + (down ? ", the highest first." : ", the lowest first.");
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      sort(column, down);
      try {
        sessionStorage.setItem(kept, JSON.stringify([column, down]));
      } catch { /* none here */ }
    });
  });
  table.classList.add("sorts");
  let order = null;
  try { order = JSON.parse(sessionStorage.getItem(kept)); } catch { /* no storage here */ }
  if (order && heads[order[0]]) sort(...order);
}
for (const hint of document.querySelectorAll(".scripted")) hint.hidden = false;
