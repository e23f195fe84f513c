// Keys and small helps of the console; each page works without it, and no page has a script of its own.
"use strict";
(() => {
  const live = () => document.getElementById("live");
  const say = (sentence) => {
    const place = live();
    if (!place) return;
    place.textContent = sentence;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { place.textContent = ""; }, 8000);
  };
  const typing = (element) => element.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

  // "/" goes to the page's search field; Ctrl+S (Cmd+S) saves its form.
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event.target)) {
      const field = document.querySelector("[data-search]");
      if (field) { event.preventDefault(); field.focus(); field.select(); }
    } else if (event.key.toLowerCase() === "s" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      const form = event.target.closest("form[data-save]") || document.querySelector("form[data-save]");
      if (form) { event.preventDefault(); form.requestSubmit(); }
    } else if (event.target.closest(".tree")) {
      walk(event);
    }
  });

  // The tree: up and down between lines, right opens, left closes or goes to the parent, Home and End to the ends.
  function walk(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const tree = event.target.closest(".tree");
    const lines = [...tree.querySelectorAll("summary, .leaf > .node > a, .more a")].filter((line) => line.offsetParent !== null);
    const at = lines.findIndex((line) => line.contains(event.target));
    if (at < 0) return;
    const details = lines[at].parentElement.tagName === "DETAILS" ? lines[at].parentElement : null;
    let next = null;
    switch (event.key) {
      case "ArrowDown": next = lines[at + 1]; break;
      case "ArrowUp": next = lines[at - 1]; break;
      case "Home": next = lines[0]; break;
      case "End": next = lines[lines.length - 1]; break;
      case "ArrowRight":
        if (details && !details.open) details.open = true;
        else if (details) next = lines[at + 1];
        break;
      case "ArrowLeft":
        if (details && details.open) details.open = false;
        else next = lines[at].closest("ul")?.closest("details")?.querySelector("summary");
        break;
      case "Enter": { // on a folded line: the service itself
        const link = event.target.tagName === "SUMMARY" ? event.target.closest("li").querySelector(":scope > .go") : null;
        if (!link) return;
        link.click();
        break;
      }
      default: return;
    }
    event.preventDefault();
    if (next) next.focus();
  }

  // A form that was changed and not saved is not left by mistake.
  let changed = false;
  document.addEventListener("input", (event) => { if (event.target.closest("form[data-save]")) changed = true; });
  document.addEventListener("submit", (event) => {
    changed = false;
    const sentence = event.submitter && event.submitter.dataset.confirm;
    if (sentence && !window.confirm(sentence)) event.preventDefault();
  });
  window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });

  // What went wrong on the way is said, and the page stays as it is.
  document.addEventListener("htmx:responseError", (event) => {
    const text = event.detail.xhr.responseText || "";
    say(text && text.length < 300 && !text.includes("<") ? text : "잠시 문제가 있었어요. 다시 해 주세요.");
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, () => say("콘솔에 연결할 수 없어요. 쓰던 내용은 이 화면에 남아 있어요."));
  }
})();
