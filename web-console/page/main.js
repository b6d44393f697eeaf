// Each camera's pictures as JPEG.
const place = document.getElementById("cameras");
const answer = await fetch("api/cameras");
const { cameras, error } = await answer.json();
place.textContent = error?.message ?? (cameras.length ? "" : "No instance is set.");
for (const { id, state } of cameras ?? []) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = `${id}: ${state}`;
  const picture = document.createElement("img");
  picture.alt = `newest picture of ${id}`;
  picture.src = `api/cameras/${encodeURIComponent(id)}/live.mjpeg`;
  figure.append(caption, picture);
  place.append(figure);
}
