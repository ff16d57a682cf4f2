// A square to draw on, white ink on black: by mouse, by finger, or by keyboard
// (arrow keys move the pen, Space puts it down or lifts it, Delete clears).
// `ink`: SIZE * SIZE bytes, 0 black to 255 white, sent when a stroke ends.

const SIZE = 112; // four times an MNIST digit
const WIDTH = 9; // of the pen, about that of MNIST's strokes
const STEP = 4; // of the arrow keys: one pixel of the 28 x 28 picture
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowDown: [0, STEP], ArrowUp: [0, -STEP] };
const PARTS = `
  <div style="position: relative; width: 100%; max-width: 280px; aspect-ratio: 1">
    <canvas class="vae-lesson-canvas" width="${SIZE}" height="${SIZE}" tabindex="0" role="application"
      data-lm-suppress-shortcuts="true" style="width: 100%; height: 100%; background: #000;
      outline: 1px solid #888; cursor: crosshair; touch-action: none"></canvas>
    <div style="position: absolute; width: 12px; height: 12px; margin: -6px 0 0 -6px; border-radius: 50%;
      box-sizing: border-box; border: 2px solid #fff; outline: 2px solid #c4161c; pointer-events: none"></div>
    <p role="status" style="position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden;
      clip-path: inset(50%)"></p>
  </div>`; // role: a screen reader hands us the arrow keys; data-lm-...: JupyterLab does too

function render({ model, el }) {
  el.innerHTML = PARTS;
  const [canvas, mark, status] = el.firstElementChild.children; // status: where the pen is, in words
  canvas.setAttribute("aria-label", model.get("label"));
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  Object.assign(pen, { lineWidth: WIDTH, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
  let x = SIZE / 2, y = SIZE / 2, down = false; // of the keyboard's pen
  let drawing = false; // with the pointer: the kernel's echo of the last stroke must not wipe this one

  const move = (to, ink) => {
    pen.beginPath();
    pen.moveTo(x, y);
    [x, y] = to;
    pen.lineTo(x, y);
    if (ink) pen.stroke();
    Object.assign(mark.style, { left: `${100 * x / SIZE}%`, top: `${100 * y / SIZE}%` });
    mark.style.background = down ? "#c4161c" : "transparent";
  };
  const send = () => {
    const { data } = pen.getImageData(0, 0, SIZE, SIZE);
    const ink = Uint8Array.from({ length: SIZE * SIZE }, (_, i) => data[4 * i]);
    model.set("ink", new DataView(ink.buffer));
    model.save_changes();
  };
  const showInk = () => {
    const ink = model.get("ink"), picture = pen.createImageData(SIZE, SIZE);
    if (drawing || ink?.byteLength !== SIZE * SIZE) return;
    picture.data.forEach((_, i, data) => { data[i] = i % 4 < 3 ? ink.getUint8(i >> 2) : 255; });
    pen.putImageData(picture, 0, 0);
  };

  const follow = (event) => {
    const box = canvas.getBoundingClientRect();
    const to = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (!drawing) [x, y] = to.map((share) => SIZE * share); // a stroke begins
    drawing = true;
    move(to.map((share) => SIZE * share), true);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    canvas.setPointerCapture(event.pointerId);
    follow(event);
  });
  canvas.addEventListener("pointermove", (event) => drawing && event.isPrimary && follow(event));
  canvas.addEventListener("lostpointercapture", () => {
    drawing = false;
    send();
  });
  canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key], wipes = ["Delete", "Backspace"].includes(event.key);
    if (!arrow && !wipes && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === " ") down = !down;
    if (wipes) pen.fillRect(0, 0, SIZE, SIZE);
    const [dx, dy] = arrow ?? [0, 0];
    move([x + dx, y + dy].map((v) => Math.min(SIZE - 4, Math.max(4, v))), down && !wipes);
    status.textContent = `pen ${down ? "down" : "up"}, column ${Math.round(x / 4)}, row ${Math.round(y / 4)}`;
    if (down || !arrow) send();
  });
  model.on("change:ink", showInk);
  showInk();
  move([x, y], false);
}

export default { render };
