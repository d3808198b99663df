import { t } from "../../core/text";

export const UNREADABLE = t`This file cannot be read.`;

/** The text of a chosen or dropped file; null if it cannot be read, for example because it is a folder. */
export async function readText(file: File): Promise<string | null> {
  try {
    return await file.text();
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    return null;
  }
}
