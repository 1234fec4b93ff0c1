/* Talks to the server that this page came from, and to nobody else. */

const TYPES = { uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array };

/** An answer that is no: a title, where, what was expected and received, and how to fix it. */
export class Refusal extends Error {
  constructor(told, status) {
    super(told.title || String(status));
    this.told = told;
    this.status = status;
  }
}

async function call(method, path, body, type) {
  const headers = { "Accept-Language": document.documentElement.lang };
  if (type) headers["Content-Type"] = type;
  const answer = await fetch(path, { method, body, headers, credentials: "same-origin" });
  if (answer.ok) return answer;
  let told;
  try {
    told = await answer.json();
  } catch {
    told = {};
  }
  throw new Refusal(told, answer.status);
}

export async function get(path) {
  return (await call("GET", path)).json();
}

export async function send(method, path, value) {
  const answer = await call(method, path, JSON.stringify(value), "application/json");
  return answer.status === 204 ? null : answer.json();
}

/** Send bytes: a file as it is, or arrays as `pack` makes them. */
export async function upload(method, path, bytes) {
  return (await call(method, path, bytes, "application/octet-stream")).json();
}

/** Facts and arrays: {told, arrays by name}. */
export async function arrays(path) {
  return unpack(await (await call("GET", path)).arrayBuffer());
}

/* A pack is the length of a text (uint32), the text, which is JSON and names the arrays, and the arrays, each
   beginning at a multiple of 8 bytes. */

export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const found = {};
  let at = 4 + length;
  for (const { name, dtype, count } of told.arrays) {
    at = Math.ceil(at / 8) * 8;
    found[name] = new TYPES[dtype](buffer, at, count);
    at += found[name].byteLength;
  }
  return { told, arrays: found };
}

export function pack(told, given) {
  const entries = Object.entries(given).filter(([, array]) => array);
  const listed = entries.map(([name, array]) => ({ name, dtype: dtypeOf(array), count: array.length }));
  const text = new TextEncoder().encode(JSON.stringify({ ...told, arrays: listed }));
  const parts = [new Uint32Array([text.length]), text];
  let at = 4 + text.length;
  for (const [, array] of entries) {
    const gap = Math.ceil(at / 8) * 8 - at;
    parts.push(new Uint8Array(gap), array);
    at += gap + array.byteLength;
  }
  return new Blob(parts);
}

function dtypeOf(array) {
  return Object.keys(TYPES).find((name) => array instanceof TYPES[name]);
}
