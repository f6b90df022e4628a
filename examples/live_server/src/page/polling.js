// Asking the server again and again, while somebody looks.

export const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

/** Resolves at once, or when the page is next seen; `anyway` says whether it need not be. */
function seen(anyway) {
  if (!document.hidden || anyway()) return Promise.resolve();
  return new Promise(resolve => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
  });
}

export async function json(path) {
  // A server that is stopped but not gone must not look like one that is only slow.
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/** Does `task` every so many milliseconds, and never a second time before the first is done. */
export async function every(milliseconds, task, anyway = () => false) {
  for (;;) {
    await seen(anyway);
    const begun = performance.now();
    // What goes wrong once must not be the end of all that is shown.
    await task().catch(reportError);
    await pause(Math.max(milliseconds - (performance.now() - begun), 50));
  }
}
