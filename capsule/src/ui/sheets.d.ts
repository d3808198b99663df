/** A style sheet as text, bundled by build.mjs. */
declare module "sheet:*" {
  const text: string;
  export default text;
}
