import { html, render } from "lit";

/** Ask for the function key in a modal dialog; resolves with null when it is dismissed. */
export function askForKey(refused: boolean): Promise<string | null> {
  const dialog = document.createElement("dialog");
  dialog.className = "key-dialog";
  const question = refused ? "The API refused this function key. Enter another one." : "The API wants a function key.";
  render(
    html`<form method="dialog">
      <h2>Function key</h2>
      <label for="function-key">${question}</label>
      <input id="function-key" type="password" autocomplete="off" required />
      <p class="hint">It stays in this tab until you close it, and is sent to the API only.</p>
      <p class="actions">
        <button type="submit" value="use" class="primary">Use this key</button>
        <button type="button" @click=${() => dialog.close()}>Not now</button>
      </p>
    </form>`,
    dialog,
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const key = dialog.querySelector("input")?.value.trim() ?? "";
      dialog.remove();
      resolve(dialog.returnValue === "use" && key !== "" ? key : null);
    });
  });
}
