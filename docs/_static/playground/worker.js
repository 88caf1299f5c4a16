// Python, away from the page, so that typing never waits for it. Everything comes from the folder of this file.
const here = new URL(".", import.meta.url);

async function part(name) {
  const found = await fetch(new URL(name, here));
  if (!found.ok) throw new Error(`${name}: ${found.status}`);
  return found;
}

async function start() {
  const wheels = await (await part("wheels.json")).json();
  const { loadPyodide } = await import(new URL("pyodide/pyodide.mjs", here).href);
  const python = await loadPyodide({ indexURL: new URL("pyodide/", here).href });
  for (const name of wheels) {
    const wheel = await (await part(`wheels/${name}`)).arrayBuffer();
    python.FS.writeFile(`/tmp/${name}`, new Uint8Array(wheel));
  }
  python.FS.writeFile("/tmp/answers.py", await (await part("answers.py")).text());
  python.globals.set("wheels", python.toPy(wheels));
  python.runPython(`
import sys, site, zipfile
for wheel in wheels:
    zipfile.ZipFile("/tmp/" + wheel).extractall(site.getsitepackages()[0])
sys.path.append("/tmp")
import answers
answers.prepare("/home/you/project")
`);
  return python.globals.get("answers");
}

const ready = start();
ready.then(() => postMessage({ ready: true }), (error) => postMessage({ broken: String(error) }));
onmessage = async ({ data }) => {
  try {
    postMessage(JSON.parse((await ready).answer(JSON.stringify(data))));
  } catch (error) {
    postMessage({ broken: String(error) });
  }
};
