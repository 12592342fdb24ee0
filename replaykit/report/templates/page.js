"use strict";
// Adds keys, copying, a filter and the inflating of big bodies; the page says all without it.
// Nothing here makes HTML out of text: only textContent is written.
(() => {
  const MOST = 20000000; // characters of a body that are shown
  const one = (selector) => document.querySelector(selector);
  const all = (selector, inside = document) => Array.from(inside.querySelectorAll(selector));
  const named = (id) => (id ? document.getElementById(id) : null);
  const said = one("#said");
  const tell = (text) => {
    said.textContent = "";
    requestAnimationFrame(() => { said.textContent = text; });
    clearTimeout(tell.timer);
    tell.timer = setTimeout(() => { said.textContent = ""; }, 4000);
  };

  // What needs a script is hidden until one runs.
  for (const each of all("[data-copies], [data-inflates], [data-opens], .needs-script")) each.hidden = false;

  // Opening: an element is seen when all that it stands in is open.
  const reveal = (element) => {
    if (element instanceof HTMLDetailsElement) element.open = true;
    for (let each = element.parentElement; each; each = each.parentElement) {
      if (each instanceof HTMLDetailsElement) each.open = true;
      if (each.hidden && each.matches(".step, li")) each.hidden = false;
    }
    element.hidden = false;
  };
  const go = (element) => {
    if (!element) return;
    reveal(element);
    const focus = element.matches("details") ? element.querySelector("summary") : element;
    element.scrollIntoView({ block: "start" });
    focus.focus({ preventScroll: true });
  };
  const follow = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* as it stands */ }
    const target = named(id);
    if (target && target.id !== "main") go(target);
  };
  addEventListener("hashchange", follow);
  addEventListener("load", () => { if (location.hash) setTimeout(follow); }); // after the browser went there itself

  // Steps.
  const steps = () => all(".step").filter((each) => !each.closest("[hidden]"));
  const here = () => document.activeElement && document.activeElement.closest(".step");
  const visit = (step) => {
    if (!step) return;
    const summary = step.querySelector("summary") || step;
    summary.focus({ preventScroll: true });
    step.scrollIntoView({ block: "nearest" });
    if (step.id) history.replaceState(null, "", "#" + step.id);
  };
  const move = (by) => {
    const listed = steps();
    const at = listed.indexOf(here());
    visit(listed[at < 0 ? (by > 0 ? 0 : listed.length - 1) : Math.min(Math.max(at + by, 0), listed.length - 1)]);
  };
  const failing = () => {
    const listed = all("[data-failing]");
    const step = listed[(listed.indexOf(here()) + 1) % Math.max(listed.length, 1)];
    if (step) { reveal(step); visit(step); step.scrollIntoView({ block: "start" }); } else tell("No step failed.");
  };
  const expand = () => {
    const step = here() || one("[data-failing]") || one(".step");
    if (!step) return;
    const parts = [...(step.matches("details") ? [step] : []), ...all("details", step)];
    const open = !parts.every((each) => each.open);
    for (const each of parts) each.open = open;
    visit(step);
  };

  // Filter: what it hides stays in the page.
  const filter = one("#filter");
  const sift = () => {
    const wanted = filter.value.trim().toLowerCase();
    let shown = 0;
    for (const step of all(".step")) {
      const place = step.closest("li") || step;
      place.hidden = wanted !== "" && !(step.querySelector("summary") || step).textContent.toLowerCase().includes(wanted);
      shown += place.hidden ? 0 : 1;
    }
    tell(wanted === "" ? "" : shown + (shown === 1 ? " step" : " steps"));
  };
  if (filter) {
    filter.addEventListener("input", sift);
    filter.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { filter.value = ""; sift(); filter.blur(); }
      if (event.key === "Enter") visit(steps()[0]);
    });
  }

  // Copying: from file:// a browser may refuse the clipboard; then the text is selected, to be copied by hand.
  const select = (element) => {
    reveal(element);
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    tell("Selected: copy it with Ctrl+C or Cmd+C.");
  };
  const copy = async (button) => {
    const element = named(button.dataset.copies);
    if (!element) return;
    try {
      await navigator.clipboard.writeText(element.textContent);
      tell("Copied.");
    } catch { select(element); }
  };

  // Packs hold pieces of big bodies, each once, as gzip in base64; a body is the piece that lists its pieces: "0-3,7".
  const packs = all("script.pack").map((each) => ({ first: Number(each.dataset.first), element: each }));
  const unpack = async (pack) => {
    const bytes = Uint8Array.from(atob(pack.element.textContent.trim()), (each) => each.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  const piece = async (number) => {
    const pack = packs.findLast((each) => each.first <= number);
    pack.pieces ??= await unpack(pack);
    return pack.pieces[number - pack.first];
  };
  const inflate = async (button) => {
    const into = named(button.dataset.into);
    if (!into) return;
    try {
      let text = "";
      for (const range of (await piece(Number(button.dataset.inflates))).split(",")) {
        const [first, last] = range.split("-").map(Number);
        for (let number = first; number <= (last ?? first) && text.length < MOST; number++) text += await piece(number);
      }
      into.textContent = text.length < MOST ? text : text.slice(0, MOST) + "...";
      into.focus();
      button.parentElement.hidden = true;
    } catch { tell("This browser can't inflate it; the bundle has it."); }
  };

  const keys = one("#keys");
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (!button) return;
    if (button.dataset.copies) copy(button);
    else if (button.dataset.inflates) inflate(button);
    else if (button.dataset.opens === "keys") keys.showModal();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target instanceof Element && event.target.closest("input, textarea, select, dialog")) return;
    const does = {
      j: () => move(1), k: () => move(-1), f: failing, e: expand, "?": () => keys.showModal(),
      "/": () => { if (filter) { filter.focus(); filter.select(); } },
    }[event.key];
    if (does) { event.preventDefault(); does(); }
  });

  // Paper can't be clicked: what failed is printed open.
  addEventListener("beforeprint", () => {
    for (const step of all("[data-failing]")) {
      reveal(step);
      for (const each of all("details", step)) each.open = true;
    }
  });
})();
