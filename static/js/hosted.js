/* What makes the public page of a payment link nicer where there is a script, beside page.js.
   Nothing needs it. Its words come with the page, in the reader's language. */
(() => {
  "use strict";

  const opened = performance.now();
  const { announce, localize } = wallgent;

  // How much time is left
  function tick() {
    for (const waiting of document.querySelectorAll("[data-countdown]")) {
      const since = waiting.dataset.since ? Number(waiting.dataset.since) : opened;
      const gone = Math.floor((performance.now() - since) / 1000);
      const left = Math.max(0, Number(waiting.dataset.countdown) - gone);
      const pair = (n) => String(n).padStart(2, "0");
      const hours = Math.floor(left / 3600);
      const words = `${pair(Math.floor(left / 60) % 60)}:${pair(left % 60)}`;
      let shown = waiting.querySelector("[data-left]");
      if (!shown) {
        shown = document.createElement("span");
        shown.dataset.left = "";
        shown.className = "tabular-nums";
        waiting.append(" (", shown, ")");
      }
      shown.textContent = hours ? `${hours}:${words}` : words;
    }
  }

  // Copying
  async function copy(button) {
    if (await wallgent.copy(button)) announce(document.body.dataset.copied || "");
  }

  // While a pointer is down nothing may move: it would be let go beside the button it was on, and
  // the click be lost.
  let released = null;
  document.addEventListener("pointerdown", () => {
    released = new Promise((resolve) => {
      const letGo = () => setTimeout(resolve);
      addEventListener("pointerup", letGo, { once: true });
      addEventListener("pointercancel", letGo, { once: true });
    });
  });

  // On leaving a field: what is wrong with it, or whose bank it is. The server knows; the form
  // asks it again in any case.
  async function check(field) {
    const value = field.value.trim();
    if (!value || field.dataset.checked === value) return;
    field.dataset.checked = value;
    if (field.dataset.pattern) {
      const digits = value.normalize("NFKC").replace(/[\s.-]/g, "");
      const isRight = new RegExp(field.dataset.pattern).test(digits);
      await released;
      return complain(field, isRight ? "" : field.dataset.wrong);
    }
    const asked = new URLSearchParams({ [field.dataset.check]: value });
    try {
      const answer = await fetch(`/pay/checks?${asked}`, { credentials: "same-origin" });
      if (!answer.ok || field.value.trim() !== value) return;
      const said = await answer.json();
      await released;
      complain(field, said.error || "");
      tell(field, said.note || "");
    } catch {
      // Whoever is offline learns it when the form is sent.
    }
  }

  function describe(field, id, isThere) {
    const all = new Set((field.getAttribute("aria-describedby") || "").split(" ").filter(Boolean));
    if (isThere) all.add(id);
    else all.delete(id);
    field.setAttribute("aria-describedby", [...all].join(" "));
  }

  function complain(field, words) {
    const box = field.closest(".field");
    const id = `${field.id}_error`;
    document.getElementById(id)?.remove();
    describe(field, id, Boolean(words));
    if (!words) return field.removeAttribute("aria-invalid");
    const shown = document.getElementById("field-error").content.firstElementChild.cloneNode(true);
    shown.id = id;
    shown.querySelector("p").textContent = words;
    field.setAttribute("aria-invalid", "true");
    box.append(shown);
    announce(words);
  }

  function tell(field, words) {
    const id = `${field.id}_note`;
    let note = document.getElementById(id);
    if (!note) {
      note = document.createElement("p");
      note.id = id;
      note.className = "field-help";
      note.setAttribute("role", "status");
      field.after(note);
    }
    note.textContent = words;
  }

  document.addEventListener("focusout", (event) => {
    if (event.target.matches?.("[data-check], [data-pattern]")) check(event.target);
  });

  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!field.matches?.("[data-check], [data-pattern]")) return;
    if (field.getAttribute("aria-invalid")) complain(field, ""); // while it is being corrected
    delete field.dataset.checked;
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy], [data-print]");
    if (button?.matches("[data-print]")) print();
    else if (button) copy(button);
  });

  function prepare(part) {
    part.querySelectorAll("time[data-zone]").forEach(localize);
    part.querySelectorAll("[data-countdown]").forEach((waiting) => {
      waiting.dataset.since = String(part === document ? opened : performance.now());
    });
    tick();
  }

  // What is swapped in says what has become of the payment.
  document.addEventListener("htmx:afterSwap", () => {
    const live = document.getElementById("live");
    if (!live) return;
    prepare(live);
    announce(live.querySelector("h1")?.textContent || "");
  });

  prepare(document);
  setInterval(tick, 1000);
})();
