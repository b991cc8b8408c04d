"use strict";
/* Runs llmzip's own Python, and its core as WebAssembly, in Pyodide. */

importScripts("pyodide/pyodide.js");

const RUN = `
import time
import llmzip

def run(name, data, level, tell):
    last = 0.0
    def progress(done, total):
        nonlocal last
        if time.time() - last > 0.1:
            last = time.time()
            tell(done, total)
    restores = name.endswith(".llmz")
    data = bytes(data)
    started = time.time()
    if restores:
        out, name = llmzip.decompress(data, progress=progress), name.removesuffix(".llmz")
    else:
        out, name = llmzip.compress(data, level=level, progress=progress), name + ".llmz"
    return name, out, time.time() - started, len(out if restores else data)
`;

const ready = (async () => {
  const pyodide = await loadPyodide({ indexURL: "pyodide/" });
  const archive = await (await fetch("llmzip.zip")).arrayBuffer();
  pyodide.unpackArchive(archive, "zip", { extractDir: "/llmzip" });
  pyodide.runPython("import sys; sys.path.insert(0, '/llmzip')");
  pyodide.runPython(RUN);
  postMessage({ kind: "ready" });
  return pyodide;
})();
ready.catch((error) => postMessage({ kind: "error", message: `cannot start: ${error.message}` }));

/* The last line of a traceback is the error itself. */
function shortly(error) {
  return error.message.trim().split("\n").pop().replace(/^[\w.]*?(\w+): /, "$1: ");
}

onmessage = async ({ data }) => {
  try {
    const pyodide = await ready;
    const run = pyodide.globals.get("run");
    const before = data.bytes.byteLength;
    const tell = (done, total) => postMessage({ kind: "progress", name: data.name, done, total });
    const result = run(data.name, pyodide.toPy(new Uint8Array(data.bytes)), data.level, tell);
    const [name, out, seconds, plain] = result;
    const view = out.getBuffer();
    const bytes = view.data.slice().buffer;
    view.release();
    out.destroy();
    result.destroy();
    run.destroy();
    postMessage({ kind: "done", name, bytes, seconds, before, plain }, [bytes]);
  } catch (error) {
    postMessage({ kind: "error", message: shortly(error) });
  }
};
