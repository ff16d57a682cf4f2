// A square to draw on, white ink on black: by mouse, by finger, or by keyboard
// (arrow keys move the pen, Space puts it down or lifts it, Delete clears).
// `ink`: SIZE * SIZE bytes, 0 black to 255 white, sent when a stroke ends.

const SIZE = 112; // four times an MNIST digit
const WIDTH = 9; // of the pen, about that of MNIST's strokes
const STEP = 4; // of the arrow keys: one pixel of the 28 x 28 picture
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowDown: [0, STEP], ArrowUp: [0, -STEP] };

function render({ model, el }) {
  const frame = document.createElement("div"), canvas = document.createElement("canvas");
  const mark = document.createElement("div");
  const status = document.createElement("p"); // where the pen is, for those who can't see it
  status.setAttribute("role", "status");
  status.style.cssText = "position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%);";
  frame.style.cssText = "position: relative; width: 100%; max-width: 280px; aspect-ratio: 1;";
  canvas.style.cssText = "width: 100%; height: 100%; background: #000; outline: 1px solid #888; cursor: crosshair; touch-action: none;";
  mark.style.cssText = "position: absolute; width: 12px; height: 12px; margin: -6px 0 0 -6px; border-radius: 50%;" +
    "box-sizing: border-box; border: 2px solid #fff; outline: 2px solid #c4161c; pointer-events: none;";
  canvas.width = canvas.height = SIZE;
  canvas.className = "vae-lesson-canvas";
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application"); // so that a screen reader hands us the arrow keys
  canvas.setAttribute("aria-label", model.get("label"));
  canvas.dataset.lmSuppressShortcuts = "true"; // in JupyterLab the arrow keys would leave the cell
  frame.append(canvas, mark, status);
  el.append(frame);

  const pen = canvas.getContext("2d", { willReadFrequently: true });
  Object.assign(pen, { lineWidth: WIDTH, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
  let [x, y] = [SIZE / 2, SIZE / 2], down = false; // of the keyboard's pen
  let drawing = false; // with the pointer: the kernel's echo of the last stroke must not wipe this one
  const lineTo = (x1, y1) => {
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(x1, y1);
    pen.stroke();
  };
  const send = () => {
    const { data } = pen.getImageData(0, 0, SIZE, SIZE), ink = new Uint8Array(SIZE * SIZE);
    for (let i = 0; i < ink.length; i++) ink[i] = data[4 * i];
    model.set("ink", new DataView(ink.buffer));
    model.save_changes();
  };
  const wipe = () => pen.fillRect(0, 0, SIZE, SIZE);
  const showPen = () => {
    mark.style.left = `${100 * x / SIZE}%`;
    mark.style.top = `${100 * y / SIZE}%`;
    mark.style.background = down ? "#c4161c" : "transparent";
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [SIZE * (event.clientX - box.left) / box.width, SIZE * (event.clientY - box.top) / box.height];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    canvas.setPointerCapture(event.pointerId);
    drawing = true;
    [x, y] = place(event);
    lineTo(x, y);
    showPen();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing || !event.isPrimary) return;
    const to = place(event);
    lineTo(...to);
    [x, y] = to;
    showPen();
  });
  canvas.addEventListener("lostpointercapture", () => {
    drawing = false;
    send();
  });
  canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (!arrow && ![" ", "Delete", "Backspace"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (arrow) {
      const to = [x + arrow[0], y + arrow[1]].map((v) => Math.min(SIZE - 4, Math.max(4, v)));
      if (down) lineTo(...to);
      [x, y] = to;
    } else if (event.key === " ") {
      down = !down;
      if (down) lineTo(x, y);
    } else wipe();
    showPen();
    status.textContent = `pen ${down ? "down" : "up"}, column ${Math.round(x / 4)}, row ${Math.round(y / 4)}`;
    if (down || !arrow) send();
  });

  const showInk = () => {
    const ink = model.get("ink"), picture = pen.createImageData(SIZE, SIZE);
    if (drawing || !ink || ink.byteLength !== SIZE * SIZE) return;
    for (let i = 0; i < SIZE * SIZE; i++) {
      const grey = ink.getUint8(i);
      picture.data.set([grey, grey, grey, 255], 4 * i);
    }
    pen.putImageData(picture, 0, 0);
  };
  model.on("change:ink", showInk);
  wipe();
  showInk();
  showPen();
}

export default { render };
