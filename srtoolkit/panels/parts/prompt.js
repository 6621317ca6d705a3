// A prompt as the tokens that the model reads, which one clicks to edit. Texts go in by textContent alone.

function chips(place, model) {
  place.replaceChildren();
  const tokens = model.get("tokens");
  for (const [index, { text, title }] of tokens.entries()) {
    const chip = add(place, "bdi", "srt-prompt-token", text);
    chip.title = title;
    chip.dataset.srt = "token";
    if (index === tokens.length - 1) chip.classList.add("srt-prompt-last");
  }
}

function render({ model, el }) {
  const root = add(el, "div", "srt-prompt");
  const label = add(root, "label", "widget-label", model.get("description"));
  const shown = add(root, "div", "srt-prompt-tokens");
  const field = add(root, "textarea", "srt-prompt-field");
  const button = add(root, "button", "srt-prompt-edit", "edit");
  const note = add(root, "span", "srt-prompt-note");
  field.id = `srt-prompt-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  field.spellcheck = false;
  field.setAttribute("data-lm-suppress-shortcuts", "true"); // letters are not JupyterLab's while in here
  label.htmlFor = field.id;
  button.type = "button";
  button.setAttribute("aria-label", `edit ${model.get("description")}`);

  function editing(on) {
    root.classList.toggle("srt-prompt-editing", on);
    button.textContent = on ? "done" : "edit";
  }
  function open() {
    if (root.classList.contains("srt-prompt-editing")) return;
    field.value = model.get("value");
    editing(true);
    field.focus();
    field.select();
  }
  function close(keep) {
    if (!root.classList.contains("srt-prompt-editing")) return;
    editing(false);
    if (!keep || field.value === model.get("value")) return;
    model.set("value", field.value);
    model.save_changes();
  }
  function show() {
    chips(shown, model);
    note.textContent = model.get("note");
    note.title = note.textContent;
  }
  shown.addEventListener("click", open);
  label.addEventListener("click", open);
  button.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps its focus until "done"
  button.addEventListener("click", () => (root.classList.contains("srt-prompt-editing") ? close(true) : open()));
  field.addEventListener("blur", () => close(true));
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") close(false);
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    close(true);
  });
  const events = ["change:tokens", "change:note"];
  for (const name of events) model.on(name, show);
  show();
  return () => events.forEach((name) => model.off(name, show));
}

export default { render };
