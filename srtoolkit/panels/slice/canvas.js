// A 2-D slice to hover over: what the model would say at every point lies in the page, so that no kernel is asked.
// Texts of tokens go in by textContent alone: they may hold anything.

const SIDE = 448; // of the picture, in CSS pixels
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

// Bytes come as a view that may start anywhere; typed arrays start at whole numbers only.
function numbers(model, name, Kind) {
  const view = model.get(name);
  return new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

// What the picture and its readout are made of, taken from one state of the kernel's side.
function read(model) {
  const n = model.get("points");
  const [low, high] = model.get("reach");
  const picture = document.createElement("canvas");
  picture.width = picture.height = Math.max(n, 1);
  const colours = numbers(model, "colours", Uint8ClampedArray);
  if (n) picture.getContext("2d").putImageData(new ImageData(colours, n, n), 0, 0);
  return {
    n,
    picture,
    tokens: numbers(model, "tokens", Int32Array),
    probabilities: numbers(model, "probabilities", Float32Array),
    distances: numbers(model, "distances", Float32Array),
    vocabulary: model.get("vocabulary"),
    contours: model.get("contours"),
    anchors: model.get("anchors"),
    context: model.get("context"),
    place: (index) => low + ((high - low) * index) / (n - 1),
    pixel: (value) => ((((value - low) / (high - low)) * (n - 1) + 0.5) * SIDE) / n,
  };
}

// Draws in black upon white, or the other way round, which is seen on every colour.
function outlined(pen, width, draw, rim = 2.5) {
  for (const [colour, extra] of [["white", rim], ["black", 0]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = width + extra;
    pen.beginPath();
    draw();
    pen.stroke();
  }
}

function paint(canvas, slice, cursor, pin) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = canvas.height = Math.round(SIDE * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(slice.picture, 0, 0, SIDE, SIDE);
  for (const line of slice.contours) {
    outlined(pen, 0.6, () => line.forEach(([alpha, beta]) => pen.lineTo(slice.pixel(alpha), slice.pixel(beta))), 0.9);
  }
  const centre = ([row, column]) => [slice.pixel(slice.place(column)), slice.pixel(slice.place(row))];
  if (pin.length) {
    const [x, y] = centre(pin);
    const from = slice.anchors.find((anchor) => anchor.name === slice.context);
    outlined(pen, 1.5, () => {
      pen.moveTo(slice.pixel(from.alpha), slice.pixel(from.beta));
      pen.lineTo(x, y);
    });
    outlined(pen, 2, () => pen.arc(x, y, 6, 0, 7));
  }
  for (const anchor of slice.anchors) {
    const [x, y] = [slice.pixel(anchor.alpha), slice.pixel(anchor.beta)];
    pen.beginPath();
    pen.arc(x, y, 9, 0, 7);
    pen.fillStyle = anchor.colour;
    pen.fill();
    pen.strokeStyle = "black";
    pen.lineWidth = 1.2;
    pen.stroke();
    pen.fillStyle = "black";
    pen.font = "12px sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(anchor.name, x, y + 0.5);
  }
  const cell = Math.max(SIDE / slice.n, 7);
  const [x, y] = centre(cursor);
  outlined(pen, 1.5, () => pen.rect(x - cell / 2, y - cell / 2, cell, cell));
}

// The prediction at one point, most probable token first; until more is known, one token without its probability.
function predictions(slice, [row, column]) {
  const top = slice.tokens.length / slice.n ** 2;
  const start = (row * slice.n + column) * top;
  return Array.from({ length: top }, (_, rank) => ({
    key: slice.tokens[start + rank],
    text: slice.vocabulary[slice.tokens[start + rank]],
    probability: slice.probabilities[start + rank],
  })).filter(({ text }) => text);
}

// Tokens in rows: one that is there already keeps its row, so that its bar can be followed by eye.
function inPlace(rows, found) {
  const kept = rows.slice(0, found.length).map((key) => found.find((one) => one.key === key));
  const others = found.filter((one) => !kept.includes(one));
  return found.map((_, row) => kept[row] ?? others.shift());
}

// The prediction at one point; the rows in which its tokens are.
function describe(readout, slice, cursor, rows) {
  const [row, column] = cursor;
  readout.replaceChildren();
  const [alpha, beta] = [slice.place(column), slice.place(row)].map((value) => value.toFixed(2));
  add(readout, "div", "srt-slice-where", `α ${alpha}, β ${beta}: next token, in the context of ${slice.context}`);
  const list = add(readout, "ul", "srt-slice-tokens");
  const found = predictions(slice, cursor);
  const placed = inPlace(rows, found);
  for (const one of placed) {
    const item = add(list, "li", one === found[0] ? "srt-slice-best" : "");
    add(item, "bdi", "srt-slice-token", one.text);
    if (Number.isNaN(one.probability)) continue;
    item.style.setProperty("--share", one.probability);
    add(item, "span", "srt-slice-percent", `${(100 * one.probability).toFixed(1)}%`);
  }
  const unknown = found.some(({ probability }) => Number.isNaN(probability));
  if (unknown) add(readout, "div", "", "Its probability, and the next ones, are not computed yet.");
  const distances = slice.anchors.map(({ name }, index) => {
    const distance = slice.distances[(index * slice.n + row) * slice.n + column];
    return `${distance.toPrecision(3)} from ${name}'s`;
  });
  add(readout, "div", "srt-slice-distances", `The output is ${distances.join(", ")}.`);
  return placed.map(({ key }) => key);
}

// How far the output moves along the line to the pinned point; before one is pinned, how to pin one.
function drawLine(place, model) {
  place.replaceChildren();
  const values = model.get("line").map((value) => (Number.isFinite(value) ? value : 0));
  add(place, "div", "srt-slice-pinned", model.get("line_label") || "Click a point, or press Enter, to see the line to it.");
  if (!values.length) return;
  const [width, height, left, top, bottom] = [400, 118, 44, 8, 96];
  const most = Math.max(...values, 1e-9);
  const figure = svg(place, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  figure.setAttribute("aria-label", model.get("line_label"));
  const x = (index) => left + ((width - left - 6) * index) / (values.length - 1);
  const y = (value) => bottom - ((bottom - top) * value) / most;
  for (const [value, text] of [[0, "0"], [most, most.toPrecision(3)]]) {
    svg(figure, "line", { x1: left, x2: width - 6, y1: y(value), y2: y(value), class: "srt-slice-grid" });
    svg(figure, "text", { x: left - 5, y: y(value) + 4, "text-anchor": "end" }, text);
  }
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  svg(figure, "polyline", { points, class: "srt-slice-line" });
  svg(figure, "text", { x: left, y: height - 6 }, model.get("context"));
  svg(figure, "text", { x: width - 6, y: height - 6, "text-anchor": "end" }, "pinned point");
  svg(figure, "text", { x: (left + width) / 2, y: height - 6, "text-anchor": "middle" }, "distance of the output");
}

function showLegend(legend, model) {
  legend.replaceChildren();
  add(legend, "div", "srt-slice-where", model.get("title"));
  for (const [colour, text] of model.get("legend")) {
    const entry = add(legend, "div", "srt-slice-entry");
    const swatch = add(entry, "span", colour ? "srt-slice-swatch" : "srt-slice-stroke");
    if (colour) swatch.style.background = colour;
    add(entry, "bdi", "srt-slice-token", text);
  }
}

function render({ model, el }) {
  const root = add(el, "div", "srt-slice");
  const frame = add(root, "div", "srt-slice-frame");
  const canvas = add(frame, "canvas", "srt-slice-canvas");
  add(frame, "div", "srt-slice-axis", "α, along AB →");
  add(frame, "div", "srt-slice-axis srt-slice-down", "β, towards C →");
  const side = add(root, "div", "srt-slice-side");
  const readout = add(side, "div", "srt-slice-readout");
  const pinned = add(side, "div", "srt-slice-pin");
  const legend = add(side, "div", "srt-slice-legend");
  const spoken = add(root, "div", "srt-slice-spoken");
  canvas.tabIndex = 0;
  canvas.style.width = canvas.style.height = `${SIDE}px`;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("data-lm-suppress-shortcuts", "true"); // arrows and letters are not JupyterLab's while in here
  spoken.setAttribute("role", "status");

  let slice = read(model);
  let stale = false; // what hovering shows is older than the kernel's
  let untold = true; // words, legend and line are
  let rows = [];
  let cursor = [0, 0].map(() => slice.n >> 1);
  let frameAsked = 0;

  function show() {
    frameAsked = 0;
    if (untold) {
      canvas.setAttribute("aria-label", `${model.get("label")} Arrow keys move the point, Enter pins it.`);
      showLegend(legend, model);
      drawLine(pinned, model);
      untold = false;
    }
    if (stale) {
      rows = []; // numbers of tokens are others now
      const { n } = slice;
      slice = read(model);
      if (n !== slice.n) cursor = [0, 0].map(() => slice.n >> 1);
      stale = false;
    }
    if (!slice.n) return;
    paint(canvas, slice, cursor, model.get("pin"));
    rows = describe(readout, slice, cursor, rows);
  }
  function ask() {
    frameAsked ||= requestAnimationFrame(show);
  }
  function tell() {
    untold = true;
    ask();
  }
  function renew() {
    stale = true;
    tell();
  }
  function move(row, column) {
    const clamped = [row, column].map((index) => Math.max(0, Math.min(slice.n - 1, index)));
    if (String(clamped) === String(cursor)) return;
    cursor = clamped;
    ask();
  }
  function pin() {
    const same = String(model.get("pin")) === String(cursor);
    model.set("pin", same ? [] : [...cursor]);
    model.save_changes();
  }
  function at(event) {
    const box = canvas.getBoundingClientRect();
    const index = (offset, length) => Math.floor((offset / length) * slice.n);
    move(index(event.clientY - box.top, box.height), index(event.clientX - box.left, box.width));
  }
  canvas.addEventListener("pointermove", (event) => slice.n && at(event));
  canvas.addEventListener("click", (event) => {
    if (!slice.n) return;
    at(event);
    pin();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!slice.n || !(step || event.key === "Enter") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (!step) return pin();
    const stride = event.shiftKey ? 5 : 1;
    move(cursor[0] + stride * step[0], cursor[1] + stride * step[1]);
    const [best] = predictions(slice, cursor);
    const [alpha, beta] = [slice.place(cursor[1]), slice.place(cursor[0])].map((value) => value.toFixed(2));
    spoken.textContent = `alpha ${alpha}, beta ${beta}: ${best?.text ?? "no prediction"}`;
  });

  const events = {};
  for (const name of ["colours", "contours", "tokens", "probabilities", "context", "anchors", "distances"]) {
    events[`change:${name}`] = renew;
  }
  for (const name of ["pin", "line", "line_label", "label", "legend", "title"]) events[`change:${name}`] = tell;
  for (const [name, callback] of Object.entries(events)) model.on(name, callback);
  show();
  return () => {
    cancelAnimationFrame(frameAsked);
    for (const [name, callback] of Object.entries(events)) model.off(name, callback);
  };
}

export default { render };
