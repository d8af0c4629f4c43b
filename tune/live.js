
// While the search runs: the page loads itself again, unless its reader has better to do.
{
  const live = document.getElementById("live"), follow = live.querySelector("input");
  const SILENT_MIN = 2;
  const tell = () => {
    const minutes = Math.floor((Date.now() - Date.parse(live.dataset.written)) / 60000);
    if (minutes < SILENT_MIN) return;
    live.querySelector(".words").textContent = "The search was under way, and has written nothing"
      + " for " + minutes + " min: it was ended, or its machine sleeps.";
  };
  tell();
  setInterval(() => {
    tell();
    const reads = document.hidden || !getSelection().isCollapsed;
    if (follow.checked && !reads) location.reload();
  }, 1000 * live.dataset.look);
}
