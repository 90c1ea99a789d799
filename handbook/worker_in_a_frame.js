// Browsers start no worker from a page that is opened as a file. The search wants one: here it is, in
// a hidden frame. Zensical's `offline` plugin names a script on a server for this, which is replaced.
if (location.protocol === "file:") {
  // As between a page and its worker: a copy, and never within the call that sends it.
  const later = (data, send) => {
    const copy = structuredClone(data);
    setTimeout(() => send(new MessageEvent("message", { data: copy })));
  };
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) =>
        later(data, (event) => {
          this.onmessage?.(event);
          this.dispatchEvent(event);
        });
      const script = inside.document.createElement("script");
      this.ready = new Promise((done, fail) => {
        script.onload = done;
        script.onerror = fail;
      });
      script.src = new URL(url, document.baseURI);
      inside.document.body.append(script);
    }

    postMessage(data) {
      this.ready.then(() => later(data, (event) => this.frame.contentWindow?.dispatchEvent(event)));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
