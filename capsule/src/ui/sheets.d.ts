/** A style sheet as text; the build bundles it (build.mjs). */
declare module "sheet:*" {
  const text: string;
  export default text;
}
