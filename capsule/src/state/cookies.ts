/** The few cookies that this page reads and writes by itself. The cookie of the session is the hub's. */

const SECURE = location.protocol === "https:";
const YEAR_S = 31_536_000;

/** The name of a cookie that only this hub can set, where the connection allows it. */
export const hostCookie = (name: string): string => `${SECURE ? "__Host-" : ""}stardust-${name}`;

export const readCookie = (name: string): string | undefined =>
  document.cookie
    .split("; ")
    .find((one) => one.startsWith(`${name}=`))
    ?.slice(name.length + 1);

/** `lifeS`: seconds until it goes; null = when the browser is closed. */
export function writeCookie(name: string, value: string, lifeS: number | null = YEAR_S): void {
  const life = lifeS === null ? "" : `; Max-Age=${lifeS}`;
  document.cookie = `${name}=${value}; Path=/${life}; SameSite=Strict${SECURE ? "; Secure" : ""}`;
}
