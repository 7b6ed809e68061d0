/** Which rows of a long list exist as elements: those in sight and a few around them. */

/** Rows beyond either edge, so that scrolling a little shows no gap. */
const MARGIN = 8;

export interface RowWindow {
  first: number;
  /** The one after the last. */
  end: number;
}

export function rowWindow(scrollTop: number, height: number, rowHeight: number, total: number): RowWindow {
  const end = Math.min(total, Math.ceil((scrollTop + height) / rowHeight) + MARGIN);
  return { first: Math.max(0, Math.min(Math.floor(scrollTop / rowHeight) - MARGIN, end)), end };
}

/** Where to scroll so that a row is in sight: not at all when it is. */
export function scrollToRow(index: number, scrollTop: number, height: number, rowHeight: number): number {
  const [top, bottom] = [index * rowHeight, (index + 1) * rowHeight];
  if (top < scrollTop) return top;
  return bottom > scrollTop + height ? bottom - height : scrollTop;
}
