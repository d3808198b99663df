import "../pages/first";

export { look } from "../state/ending";
