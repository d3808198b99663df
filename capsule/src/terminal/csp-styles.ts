/**
 * Lets xterm run under `style-src 'self'`, which forbids the style elements that it writes.
 *
 * xterm takes the document as an option. The document made here is the real document, but `createElement("style")` returns an element whose
 * text becomes a constructable style sheet.
 */

export interface StyledDocument {
  document: Document;
  /** Runs `work` while `createElement` of the real document does the same: xterm 6.0 uses the real document for its scroll bar. */
  during(work: () => void): void;
  /** Removes all sheets. */
  release(): void;
}

/** A `setAttribute` that writes a style through the style object: the policy forbids the attribute only. */
function setAttribute(this: HTMLElement, name: string, value: string): void {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
}

let screens = 0;

/**
 * Replaces `setAttribute` of all spans while there is a screen. xterm 6.0 creates cells with a style attribute through the real document: those
 * of a selection, and of colours beyond the palette.
 */
function styleSpans(on: boolean): void {
  screens += on ? 1 : -1;
  if (screens > 0) HTMLSpanElement.prototype.setAttribute = setAttribute;
  else Reflect.deleteProperty(HTMLSpanElement.prototype, "setAttribute");
}

export function styledDocument(real: Document): StyledDocument {
  styleSpans(true);
  const sheets = new Set<CSSStyleSheet>();
  const adopt = (sheet: CSSStyleSheet): void => {
    sheets.add(sheet);
    real.adoptedStyleSheets = [...real.adoptedStyleSheets, sheet];
  };
  const drop = (sheet: CSSStyleSheet): void => {
    sheets.delete(sheet);
    real.adoptedStyleSheets = real.adoptedStyleSheets.filter((one) => one !== sheet);
  };
  const plain = real.createElement.bind(real) as (tag: string, options?: ElementCreationOptions) => HTMLElement;
  const styleElement = (): HTMLElement => {
    const sheet = new CSSStyleSheet();
    const element = plain("i");
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
  const create = (tag: string, options?: ElementCreationOptions): HTMLElement => (tag === "style" ? styleElement() : plain(tag, options));
  const proxy = new Proxy(real, {
    get(target, name) {
      if (name === "createElement") return create;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
  return {
    document: proxy,
    during: (work) => {
      Object.defineProperty(real, "createElement", { value: create, configurable: true });
      try {
        work();
      } finally {
        Reflect.deleteProperty(real, "createElement");
      }
    },
    release: () => {
      styleSpans(false);
      for (const sheet of [...sheets]) drop(sheet);
    },
  };
}
