
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const compare = (a, b) => {
    const x = Number(a), y = Number(b);
    return isNaN(x) || isNaN(y) ? a.localeCompare(b) : x - y;
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map(row => [row.cells[column].dataset.key, row]);
      const known = rows.filter(([key]) => key !== ""), empty = rows.filter(([key]) => key === "");
      known.sort(([a], [b]) => down ? compare(b, a) : compare(a, b));
      body.append(...[...known, ...empty].map(([, row]) => row));
    });
  });
}
