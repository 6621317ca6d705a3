// The foot of a panel: takes away its code, picture and data, and names its sliders for who cannot see them.
// Texts go in by textContent and value alone: they may hold anything.

const TYPES = {
  png: "image/png",
  svg: "image/svg+xml",
  pdf: "application/pdf",
  csv: "text/csv",
  nc: "application/x-netcdf",
  html: "text/html",
};
const SHOWN = 2000; // milliseconds that a button says it is done

function download(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// Where the page may not use the clipboard, the code is shown to be copied by hand.
function showCode(dialog, code) {
  dialog.replaceChildren();
  add(dialog, "div", "", "Copy this code:");
  const field = add(dialog, "textarea", "srt-foot-code");
  field.value = code;
  field.readOnly = true;
  field.setAttribute("aria-label", "code of what is shown");
  const close = add(dialog, "button", "srt-foot-button", "close");
  close.addEventListener("click", () => dialog.close());
  dialog.showModal();
  field.select();
}

// ipywidgets labels a slider's place in the page, not the handle that has the focus.
function nameSliders(panel) {
  for (const handle of panel.querySelectorAll(".noUi-handle:not([aria-label])")) {
    const label = handle.closest(".widget-slider, .jupyter-widget-slider")?.querySelector(".widget-label");
    if (label?.textContent) handle.setAttribute("aria-label", label.textContent);
  }
}

function render({ model, el }) {
  const root = add(el, "div", "srt-foot");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "take away what is shown");
  const buttons = {};
  for (const [form, text] of model.get("buttons")) {
    buttons[form] = add(root, "button", "srt-foot-button", text);
    buttons[form].type = "button";
    buttons[form].dataset.text = text;
    buttons[form].addEventListener("click", () => model.send({ form }));
  }
  const dialog = add(root, "dialog", "srt-foot-dialog");
  dialog.setAttribute("data-lm-suppress-shortcuts", "true"); // letters are not JupyterLab's while in here

  function done(button, text) {
    button.textContent = text;
    setTimeout(() => (button.textContent = button.dataset.text), SHOWN);
  }
  async function take({ form, name }, [content]) {
    if (form !== "code") {
      download(name, content, TYPES[form]);
      return done(buttons[form], "saved");
    }
    const code = new TextDecoder().decode(content);
    try {
      await navigator.clipboard.writeText(code);
      done(buttons[form], "copied");
    } catch {
      showCode(dialog, code);
    }
  }
  model.on("msg:custom", take);

  // The panel is around this once both are in the page; its sliders may come later still.
  let panel = null;
  const seen = new MutationObserver(() => nameSliders(panel));
  const waiting = setInterval(() => {
    panel = root.closest(".srt-panel");
    if (!panel) return;
    clearInterval(waiting);
    nameSliders(panel);
    seen.observe(panel, { childList: true, subtree: true });
  }, 50);
  return () => {
    clearInterval(waiting);
    seen.disconnect();
    model.off("msg:custom", take);
  };
}

export default { render };
