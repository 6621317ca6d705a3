// A path from prompt A to prompt B, to drag along. All its numbers lie in the page, so that dragging asks nobody.
// Texts of tokens go in by textContent alone: they may hold anything.

const LEFT = 50; // of the axes, in CSS pixels, as all that follows
const LABELS = 168; // room for labels right of the axes, where there is room
const NARROW = 620; // a figure narrower than this has its labels in a row below
const LOW = 640; // a window lower than this gets lower axes, so that curve and handle are seen together
const LINE = 15; // between two lines of text

export const visible = (text) => text.replace(/\n/g, "⏎").trim() || "␣";
const percent = (share) => (share < 0.0005 ? "0%" : `${(100 * share).toPrecision(share < 0.01 ? 1 : 2)}%`);
const clipped = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

// The places of everything, in pixels.
function layout(root, story) {
  const width = Math.max(root.clientWidth, 280);
  const narrow = width < NARROW;
  const low = window.innerHeight < LOW;
  const right = width - (narrow ? 16 : LABELS);
  const last = story.alpha.length - 1;
  const [start, end] = [story.alpha[0], story.alpha[last]];
  const curve = { top: 26, bottom: low ? 128 : 206 };
  const lines = { top: curve.bottom + 32, bottom: curve.bottom + (low ? 88 : 132) };
  const ribbon = { top: lines.bottom + 12, bottom: lines.bottom + 34 };
  const track = ribbon.bottom + 20;
  const x = (alpha) => LEFT + ((right - LEFT) * (alpha - start)) / (end - start);
  return { width, height: track + 26, narrow, right, curve, lines, ribbon, track, x, last };
}

const scale = ({ top, bottom }, most) => (value) => bottom - ((bottom - top) * value) / most;

// A line through what is known; a gap where it is not.
function stroke(place, alphas, y, values) {
  let pen = "M";
  return values
    .map((value, index) => {
      if (value === null) {
        pen = "M";
        return "";
      }
      const point = `${pen}${place.x(alphas[index]).toFixed(1)},${y(value).toFixed(1)}`;
      pen = "L";
      return point;
    })
    .join("");
}

// Stairs: a speed belongs to a step between two points.
function stairs(place, alphas, y, values) {
  return values
    .map((value, index) => {
      const height = y(value ?? 0).toFixed(1);
      const [from, to] = [alphas[index], alphas[index + 1]].map((alpha) => place.x(alpha).toFixed(1));
      return `${index ? "L" : "M"}${from},${height}L${to},${height}`;
    })
    .join("");
}

// Heights for labels that would otherwise stand on each other, as near to where they belong as possible.
export function apart(heights, top, bottom) {
  const order = heights.map((height, index) => [height, index]).sort((one, other) => one[0] - other[0]);
  let free = top;
  for (const entry of order) free = (entry[0] = Math.max(entry[0], free)) + LINE;
  let limit = bottom;
  for (const entry of [...order].reverse()) limit = (entry[0] = Math.min(entry[0], limit)) - LINE;
  const found = [];
  for (const [height, index] of order) found[index] = height;
  return found;
}

function labels(figure, place, box, entries) {
  if (place.narrow) return;
  const heights = apart(entries.map(({ height }) => height + 4), box.top + 4, box.bottom + 6);
  entries.forEach(({ text, className }, index) => {
    svg(figure, "text", { x: place.right + 8, y: heights[index], class: className }, clipped(text, 23));
  });
}

function ticks(figure, place, box, y, values, name) {
  for (const [value, text] of values) {
    svg(figure, "line", { x1: LEFT, x2: place.right, y1: y(value), y2: y(value), class: "srt-path-grid" });
    svg(figure, "text", { x: LEFT - 7, y: y(value) + 4, "text-anchor": "end" }, text);
  }
  svg(figure, "text", { x: LEFT, y: box.top - 8 }, name);
}

// The distance of the output along the path, its speed as an area behind, and calm ends shaded.
function drawCurve(figure, place, story, ghost) {
  const box = place.curve;
  const { curve, speed, shuffled, alpha } = story;
  const y = scale(box, curve.most);
  const fastest = Math.max(3, ...speed, ...(ghost && shuffled ? shuffled : []));
  const fast = scale(box, fastest * 1.12);
  for (const { from, to, text } of story.calm) {
    const [start, end] = [place.x(from), place.x(to)];
    svg(figure, "rect", { x: start, y: box.top, width: end - start, height: box.bottom - box.top, class: "srt-path-calm" });
    const anchor = from > 0.5 ? { x: place.right - 3, "text-anchor": "end" } : { x: LEFT + 3 };
    if (!place.narrow) svg(figure, "text", { ...anchor, y: y(curve.most / 2) - 6, class: "srt-path-small" }, text);
  }
  ticks(figure, place, box, y, curve.ticks, curve.name);
  const area = `${stairs(place, alpha, fast, speed)}L${place.right},${box.bottom}L${LEFT},${box.bottom}Z`;
  if (speed.length) svg(figure, "path", { d: area, class: "srt-path-speed" });
  if (ghost && shuffled) svg(figure, "path", { d: stairs(place, alpha, fast, shuffled), class: "srt-path-ghost" });
  svg(figure, "path", { d: stroke(place, alpha, y, curve.values), class: "srt-path-curve srt-path-a" });
  const ends = [{ text: curve.label, values: curve.values, className: "srt-path-a" }];
  if (curve.back) {
    svg(figure, "path", { d: stroke(place, alpha, y, curve.back), class: "srt-path-curve srt-path-b" });
    ends.push({ text: "from the far end's", values: curve.back, className: "srt-path-b" });
  }
  const known = ends.filter(({ values }) => values[place.last] !== null);
  labels(figure, place, box, [
    ...known.map(({ text, values, className }) => ({ text, className, height: y(values[place.last]) })),
    ...(speed.length ? [{ text: `speed: peak ${story.peak.toFixed(1)}`, className: "", height: fast(speed.at(-1)) }] : []),
    ...(ghost && shuffled ? [{ text: `shuffled: ${Math.max(...shuffled).toFixed(1)} (- -)`, className: "", height: fast(1) - LINE }] : []),
  ]);
}

// The probability of each token that matters anywhere on the path.
function drawTokens(figure, place, story) {
  const box = place.lines;
  const most = Math.max(0.02, ...story.probabilities.flat());
  const y = scale(box, most);
  ticks(figure, place, box, y, [[0, "0"], [most, percent(most)]], "probability of the next token");
  story.probabilities.forEach((values, index) => {
    svg(figure, "path", { d: stroke(place, story.alpha, y, values), class: `srt-path-token srt-path-token${index}` });
  });
  const entries = story.tokens.map((text, index) => ({
    text: visible(text),
    className: `srt-path-name${index}`,
    height: y(story.probabilities[index][place.last]),
  }));
  labels(figure, place, { top: box.top, bottom: box.bottom + 10 }, entries);
}

// Which token is the likeliest, as a ribbon: where it changes, one prediction gives way to another.
function drawRibbon(figure, place, story) {
  const { top, bottom } = place.ribbon;
  const edge = (index) => {
    const inside = Math.max(0, Math.min(place.last, index));
    const [before, after] = [Math.floor(inside), Math.ceil(inside)];
    return place.x((story.alpha[before] + story.alpha[after]) / 2);
  };
  let start = 0;
  story.top.forEach((name, index) => {
    if (index < place.last && story.top[index + 1] === name) return;
    const [from, to] = [edge(start - 0.5), edge(index + 0.5)];
    const colour = story.tokens.indexOf(story.names[name]);
    const className = colour < 0 ? "srt-path-other" : `srt-path-part${colour}`;
    const part = svg(figure, "rect", { x: from, y: top, width: Math.max(1, to - from - 1), height: bottom - top, class: className });
    const text = visible(story.names[name]);
    svg(part, "title", {}, text);
    const room = Math.floor((to - from - 8) / 7.5);
    if (room >= Math.min(3, text.length)) {
      const middle = { x: (from + to) / 2, y: bottom - 7, "text-anchor": "middle", class: "srt-path-strong" };
      svg(figure, "text", middle, clipped(text, room));
    }
    start = index + 1;
  });
  svg(figure, "text", { x: LEFT - 7, y: bottom - 7, "text-anchor": "end" }, "next");
}

// What is dragged along; a ring where it is known what the model would write from there.
function drawTrack(figure, place, story) {
  svg(figure, "line", { x1: LEFT, x2: place.right, y1: place.track, y2: place.track, class: "srt-path-track" });
  for (const index of Object.keys(story.texts ?? {})) {
    svg(figure, "circle", { cx: place.x(story.alpha[index]), cy: place.track, r: 5, class: "srt-path-written" });
  }
  svg(figure, "text", { x: LEFT, y: place.track + 21, class: "srt-path-a srt-path-strong" }, "A");
  const end = { x: place.right, y: place.track + 21, "text-anchor": "end", class: "srt-path-b srt-path-strong" };
  svg(figure, "text", end, "B in A's context");
}

function drawHandle(figure, place) {
  const handle = svg(figure, "g", { class: "srt-path-handle" });
  svg(handle, "line", { y1: place.curve.top, y2: place.track });
  svg(handle, "circle", { r: 10, cy: place.track });
  return { handle, dot: svg(handle, "circle", { r: 5, class: "srt-path-dot" }) };
}

// What the model would write from the point, or where that is known.
function sayWritten(readout, story, index) {
  const known = Object.keys(story.texts ?? {}).map(Number);
  if (!known.length) return;
  const line = add(readout, "div", "");
  if (known.includes(index)) {
    line.append("From here it writes ");
    add(line, "bdi", "srt-path-text", `“${story.texts[index].replace(/\n/g, "⏎")}”`);
    return;
  }
  line.append(`What it would write is known at α ${known.map((one) => story.alpha[one].toFixed(2)).join(", ")}.`);
}

// What stands below the figure: the prediction at the point, and what there is to know of the whole path.
function say(readout, story, index) {
  readout.replaceChildren();
  const line = add(readout, "div", "srt-path-point", `At α ${story.alpha[index].toFixed(2)} the next token is `);
  story.best[index].forEach(([name, probability], rank) => {
    if (rank) line.append(", ");
    const colour = story.tokens.indexOf(story.names[name]);
    add(line, "bdi", colour < 0 ? "srt-path-word" : `srt-path-word srt-path-word${colour}`, `“${visible(story.names[name])}”`);
    line.append(` ${percent(probability)}`);
  });
  sayWritten(readout, story, index);
  for (const fact of story.facts) add(readout, "div", "", fact);
}

function legend(row, place, story) {
  row.replaceChildren();
  row.hidden = !place.narrow;
  if (!place.narrow) return;
  add(row, "span", "srt-path-word srt-path-worda", story.curve.label);
  if (story.curve.back) add(row, "span", "srt-path-word srt-path-wordb", "from the far end's");
  story.tokens.forEach((text, index) => add(row, "bdi", `srt-path-word srt-path-word${index}`, visible(text)));
}

// Whether what lies behind is dark, in whatever front end or page this is.
function isDark(element) {
  for (let one = element; one; one = one.parentElement) {
    const parts = getComputedStyle(one).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    if (parts.length >= 3 && (parts[3] ?? 1) > 0.5) return 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2] < 110;
  }
  return false;
}

function pressed(key, shift, index, last) {
  const stride = shift ? 5 : 1;
  const page = Math.max(1, Math.round(last / 10));
  const steps = { ArrowRight: stride, ArrowUp: stride, ArrowLeft: -stride, ArrowDown: -stride, PageUp: page, PageDown: -page };
  if (key in steps) return index + steps[key];
  return { Home: 0, End: last }[key];
}

// Shows one path after the other in a place of the page. `moved` hears of alpha when a drag has ended.
export function mount(el, moved) {
  const root = add(el, "div", "srt-path");
  const figure = svg(root, "svg", { role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": 1 });
  figure.setAttribute("data-lm-suppress-shortcuts", "true"); // arrows are not JupyterLab's while in here
  const names = add(root, "div", "srt-path-legend");
  const readout = add(root, "div", "srt-path-say");
  const state = { story: null, ghost: false, index: 0, place: null, parts: null };

  function move(index) {
    const { story, place, parts } = state;
    state.index = Math.max(0, Math.min(place.last, index));
    const value = story.curve.values[state.index];
    parts.handle.setAttribute("transform", `translate(${place.x(story.alpha[state.index])},0)`);
    parts.dot.setAttribute("cy", scale(place.curve, story.curve.most)(value ?? 0));
    figure.setAttribute("aria-valuenow", story.alpha[state.index].toFixed(2));
    const [name, probability] = story.best[state.index][0] ?? [];
    const next = name === undefined ? "" : `, next token ${visible(story.names[name])}, ${percent(probability)}`;
    figure.setAttribute("aria-valuetext", `alpha ${story.alpha[state.index].toFixed(2)}${next}`);
    say(readout, story, state.index);
  }
  function draw() {
    const { story, ghost } = state;
    root.dataset.dark = isDark(root);
    if (!story) return;
    const place = (state.place = layout(root, story));
    figure.replaceChildren();
    figure.setAttribute("viewBox", `0 0 ${place.width} ${place.height}`);
    figure.setAttribute("width", place.width);
    figure.setAttribute("height", place.height);
    figure.setAttribute("aria-label", `the way from A to B. ${story.label}`);
    drawCurve(figure, place, story, ghost);
    drawTokens(figure, place, story);
    drawRibbon(figure, place, story);
    drawTrack(figure, place, story);
    legend(names, place, story);
    state.parts = drawHandle(figure, place);
    move(state.index);
  }
  function at(event) {
    const { story, place } = state;
    const x = event.clientX - figure.getBoundingClientRect().left;
    const far = story.alpha.map((alpha) => Math.abs(place.x(alpha) - x));
    move(far.indexOf(Math.min(...far)));
  }
  const ended = () => moved(state.story.alpha[state.index]);

  figure.addEventListener("pointerdown", (event) => {
    if (!state.story || event.button) return;
    figure.setPointerCapture(event.pointerId);
    at(event);
  });
  figure.addEventListener("pointermove", (event) => figure.hasPointerCapture(event.pointerId) && at(event));
  figure.addEventListener("pointerup", () => state.story && ended());
  figure.addEventListener("keydown", (event) => {
    if (!state.story || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = pressed(event.key, event.shiftKey, state.index, state.place.last);
    if (index === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    move(index);
  });
  figure.addEventListener("keyup", (event) => state.story && pressed(event.key, false, 0, 1) !== undefined && ended());
  const size = new ResizeObserver(draw);
  size.observe(root);
  const theme = new MutationObserver(draw);
  theme.observe(document.body, { attributes: true });

  return {
    show(story, ghost) {
      Object.assign(state, { story, ghost });
      draw();
    },
    go(alpha) {
      if (!state.story) return;
      const far = state.story.alpha.map((one) => Math.abs(one - alpha));
      move(far.indexOf(Math.min(...far)));
    },
    dim: (busy) => root.classList.toggle("srt-path-stale", busy),
    end() {
      size.disconnect();
      theme.disconnect();
    },
  };
}

function render({ model, el }) {
  const path = mount(el, (alpha) => {
    model.set("value", alpha);
    model.save_changes();
  });
  const show = () => model.get("story").alpha && path.show(model.get("story"), model.get("ghost"));
  const events = {
    "change:story": show,
    "change:ghost": show,
    "change:value": () => path.go(model.get("value")),
    "change:stale": () => path.dim(model.get("stale")),
  };
  for (const [name, callback] of Object.entries(events)) model.on(name, callback);
  show();
  path.go(model.get("value"));
  path.dim(model.get("stale"));
  return () => {
    path.end();
    for (const [name, callback] of Object.entries(events)) model.off(name, callback);
  };
}

export default { render };
