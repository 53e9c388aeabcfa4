// Draw on the canvas, send it as a PNG, show the answer.

const pad = document.getElementById("pad");
const pen = pad.getContext("2d");
const answer = document.getElementById("digit");
const bars = document.getElementById("bars");

function clear() {
  pen.fillStyle = "white";
  pen.fillRect(0, 0, pad.width, pad.height);
  answer.textContent = "Nothing drawn yet.";
  bars.replaceChildren();
}

function place(event) {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) * pad.width / box.width, (event.clientY - box.top) * pad.height / box.height];
}

pad.addEventListener("pointerdown", (event) => {
  pad.setPointerCapture(event.pointerId);
  pen.lineWidth = 16;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...place(event));
  pen.lineTo(...place(event));  // so that a tap leaves a dot
  pen.stroke();
});

pad.addEventListener("pointermove", (event) => {
  if (!pad.hasPointerCapture(event.pointerId)) return;
  pen.lineTo(...place(event));
  pen.stroke();
});

pad.addEventListener("pointerup", read);

async function read() {
  try {
    const response = await fetch("/api/predict", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ image: pad.toDataURL("image/png") }),
    });
    const result = await response.json();
    if (response.ok) show(result.digits[0]);
    else answer.textContent = result.detail;
  } catch {
    answer.textContent = "The server does not answer. Is it still running?";
  }
}

function show(result) {
  if (!result) return clear();
  answer.textContent = `This is a ${result.digit}.`;
  bars.replaceChildren(...result.probabilities.map((share, digit) => {
    const row = document.createElement("li");
    const name = document.createElement("span");
    const bar = document.createElement("meter");
    const percent = document.createElement("span");
    name.textContent = digit;
    bar.value = share;
    bar.setAttribute("aria-label", `probability of ${digit}`);
    percent.textContent = `${(100 * share).toFixed(1)} %`;
    row.append(name, bar, percent);
    return row;
  }));
}

document.getElementById("clear").addEventListener("click", clear);
document.getElementById("predict").addEventListener("click", read);
clear();
