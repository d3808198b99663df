/**
 * xterm writes its colours and sizes into style elements, which `style-src 'self'` forbids.
 *
 * It takes the document to work with as an option: this one hands out, in place of a style element, an element whose
 * text becomes a constructable style sheet. Everything else is the real document's.
 */

export interface StyledDocument {
  document: Document;
  /** Takes all its sheets out again. */
  release(): void;
}

export function styledDocument(real: Document): StyledDocument {
  const sheets = new Set<CSSStyleSheet>();
  const adopt = (sheet: CSSStyleSheet): void => {
    sheets.add(sheet);
    real.adoptedStyleSheets = [...real.adoptedStyleSheets, sheet];
  };
  const drop = (sheet: CSSStyleSheet): void => {
    sheets.delete(sheet);
    real.adoptedStyleSheets = real.adoptedStyleSheets.filter((one) => one !== sheet);
  };
  const styleElement = (): HTMLElement => {
    const sheet = new CSSStyleSheet();
    const element = real.createElement("i");
    element.hidden = true;
    adopt(sheet);
    let text = "";
    Object.defineProperty(element, "textContent", {
      get: () => text,
      set: (next: string) => {
        text = next;
        sheet.replaceSync(next);
      },
    });
    const remove = element.remove.bind(element);
    element.remove = () => {
      drop(sheet);
      remove();
    };
    return element;
  };
  const proxy = new Proxy(real, {
    get(target, name) {
      if (name === "createElement") return (tag: string, options?: ElementCreationOptions) => (tag === "style" ? styleElement() : target.createElement(tag, options));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
  return {
    document: proxy,
    release: () => {
      for (const sheet of [...sheets]) drop(sheet);
    },
  };
}
