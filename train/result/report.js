
const all = document.getElementById("all");
if (all) {
  const wrongs = [...all.querySelectorAll(".wrongs")];
  const pairs = [...all.querySelectorAll(".pair")];
  const bar = document.createElement("form");
  const said = document.createElement("output");
  const choice = (label, entries) => {
    const select = document.createElement("select");
    select.add(new Option("any class", ""));
    for (const [value, text] of entries) select.add(new Option(text, value));
    field(label, select);
    return select;
  };
  const field = (label, control) => {
    const outer = document.createElement("label");
    outer.append(label, " ", control);
    bar.append(outer);
  };
  const byName = (a, b) => a[1].localeCompare(b[1]);
  const classes = wrongs.map(part => [part.dataset.true, part.dataset.name]).sort(byName);
  const answers = new Map(pairs.map(part => [part.dataset.answered, part.dataset.name]));
  const isClass = choice("is", classes);
  const answered = choice("answered", [...answers].sort(byName));
  const file = document.createElement("input");
  file.type = "search";
  field("file", file);
  const reset = document.createElement("button");
  reset.type = "reset";
  reset.textContent = "Show all";
  bar.append(reset, said);
  bar.className = "filter";
  bar.setAttribute("aria-label", "Filter of the mistakes");
  all.querySelector("h2").after(bar);

  const show = () => {
    const words = file.value.toLowerCase();
    let count = 0;
    for (const part of wrongs) {
      let inClass = 0;
      for (const pair of part.querySelectorAll(".pair")) {
        const fits = (!isClass.value || isClass.value === part.dataset.true)
          && (!answered.value || answered.value === pair.dataset.answered);
        let inPair = 0;
        for (const item of pair.querySelectorAll("li")) {
          const seen = fits && item.textContent.toLowerCase().includes(words);
          item.hidden = !seen;
          inPair += seen;
        }
        pair.hidden = !(fits && (inPair || !words));
        inClass += !pair.hidden;
        count += inPair;
      }
      part.hidden = !inClass;
    }
    said.textContent = count + " shown";
  };
  const take = (hash) => {
    const found = /^#(?:c(\d+)|p(\d+)-(\d+))$/.exec(hash);
    if (!found) return;
    isClass.value = found[1] || found[2];
    answered.value = found[3] || "";
    file.value = "";
    show();
  };
  bar.addEventListener("input", show);
  bar.addEventListener("submit", event => event.preventDefault());
  bar.addEventListener("reset", () => setTimeout(show));
  document.addEventListener("click", event => {
    const link = event.target.closest("a[href^='#']");
    if (link) take(link.getAttribute("href"));
  });
  show();
  take(location.hash);
}
