"use strict";
// The page is whole without this. It asks for the page again, takes the parts that have changed,
// and sends dropped photos. It shows the server's own pages alone, which escape what they quote.
const EVERY_MS = 1000; // while something runs
const IDLE_MS = 4000;
const parts = (page) => [...page.querySelectorAll("[data-live]")];
const known = new Map(parts(document).map((part) => [part.id, part.innerHTML]));
const lost = document.getElementById("lost");
const address = location.pathname.replace(/\/(ask|stop|interrupt)$/, "") + location.search;

const logs = (root) => [...root.querySelectorAll(".log")];
const isAtEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 40;

// Whether a reader would lose a selection in a part that is replaced.
function isSelected(part) {
  const selection = getSelection();
  return !selection.isCollapsed && part.contains(selection.anchorNode);
}

function replace(part, html) {
  const before = logs(part).map((log) => ({ end: isAtEnd(log), top: log.scrollTop }));
  const scrolled = [...part.querySelectorAll(".box")].map((box) => [box.scrollLeft, box.scrollTop]);
  const active = part.contains(document.activeElement) ? document.activeElement : null;
  const link = active && active.getAttribute("href");
  const place = active ? [...part.querySelectorAll(active.tagName)].indexOf(active) : -1;
  part.innerHTML = html;
  logs(part).forEach((log, index) => {
    const was = before[index];
    log.scrollTop = !was || was.end ? log.scrollHeight : was.top;
  });
  part.querySelectorAll(".box").forEach((box, index) => {
    if (scrolled[index]) [box.scrollLeft, box.scrollTop] = scrolled[index];
  });
  if (!active) return;
  const same = link
    ? [...part.querySelectorAll("a")].find((one) => one.getAttribute("href") === link)
    : part.querySelectorAll(active.tagName)[place];
  (same || part).focus({ preventScroll: true });
}

function take(page) {
  // An endpoint that has become ready can be asked, which needs the page's own form.
  if (page.getElementById("form") && !document.getElementById("form")) location.assign(address);
  for (const part of parts(page)) {
    const here = document.getElementById(part.id);
    if (!here || known.get(part.id) === part.innerHTML || isSelected(here)) continue;
    known.set(part.id, part.innerHTML);
    replace(here, part.innerHTML);
  }
}

async function asked(url, options) {
  const answer = await fetch(url, { headers: { Accept: "text/html" }, ...options });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return { status: answer.status, page };
}

function say(sentence) {
  if (lost.textContent !== sentence) lost.textContent = sentence;
}

async function refresh() {
  if (document.hidden) return;
  try {
    const { status, page } = await asked(address);
    if (status === 403) say("This browser's key is void: the server has started again.");
    else if (status === 404) say("It has been deleted. This page shows how it was.");
    else if (status !== 200) say("The server cannot show this page at the moment.");
    else {
      say("");
      take(page);
    }
  } catch {
    say("The server does not answer. This page goes on by itself when it does.");
  }
}

async function goOn() {
  await refresh();
  setTimeout(goOn, document.querySelector(".running") ? EVERY_MS : IDLE_MS);
}

function copyable(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

async function ask(form, files) {
  const asking = document.getElementById("asking");
  const answers = document.getElementById("answers");
  for (const file of files) {
    asking.textContent = `Asking for ${file.name} …`;
    const data = new FormData(form);
    data.set("photo", file);
    try {
      const { page } = await asked(form.action, { method: "POST", body: data });
      const found = page.querySelectorAll("#answers > *");
      answers.prepend(...found);
      asking.textContent = found.length ? "" : page.querySelector("main").innerText;
      if (found.length) found[0].focus();
      await refresh(); // the log has a line more
    } catch {
      asking.textContent = "The server does not answer.";
    }
  }
}

function asks(form) {
  const input = document.getElementById("photo");
  document.getElementById("hint").hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(form, input.files);
  });
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      form.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    });
  }
  document.addEventListener("drop", (event) => {
    ask(form, event.dataTransfer.files);
  });
}

logs(document).forEach((log) => { log.scrollTop = log.scrollHeight; });
document.querySelectorAll("[data-copy]").forEach(copyable);
const form = document.getElementById("form");
if (form) asks(form);
setTimeout(goOn, EVERY_MS);
