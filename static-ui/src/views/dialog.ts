import { html, nothing, render, type TemplateResult } from "lit-html";

export interface Question {
  title: string;
  text: string | TemplateResult;
  /** What the button that goes ahead says. */
  button: string;
  isDanger?: boolean;
  field?: { label: string; type: "text" | "password"; required: boolean; maxLength?: number };
}

/** Ask in a modal dialog: what was typed (empty without a field), or null when it was dismissed. */
export function ask(question: Question): Promise<string | null> {
  const { field } = question;
  const dialog = openDialog(
    question.title,
    html`<form method="dialog">
      <p>${question.text}</p>
      ${field === undefined
        ? nothing
        : html`<label for="dialog-field">${field.label}</label>
            <input id="dialog-field" type=${field.type} autocomplete="off" ?required=${field.required}
              maxlength=${field.maxLength ?? nothing} />`}
      <p class="actions">
        <button type="submit" value="yes" class=${question.isDanger ? "danger" : "primary"}>${question.button}</button>
        <button type="button" @click=${() => dialog.close()}>Not now</button>
      </p>
    </form>`,
  );
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const text = dialog.querySelector("input")?.value.trim() ?? "";
      resolve(dialog.returnValue === "yes" && (field?.required !== true || text !== "") ? text : null);
    });
  });
}

/** A modal dialog that goes away when it is closed; focus returns to where it was. */
export function openDialog(title: string, body: TemplateResult): HTMLDialogElement {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "dialog-title");
  render(html`<h2 id="dialog-title">${title}</h2>${body}`, dialog);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  return dialog;
}

export function askForKey(refused: boolean): Promise<string | null> {
  return ask({
    title: "Function key",
    text: "The key stays in this tab until you close it, and is sent to the API only.",
    button: "Use this key",
    field: {
      label: refused ? "The API refused this function key. Enter another one." : "The API wants a function key.",
      type: "password",
      required: true,
    },
  });
}
