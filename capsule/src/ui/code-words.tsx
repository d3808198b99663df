/** A sentence of the hub, in which commands and names stand between backticks. */

export function CodeWords({ text }: { text: string }) {
  return (
    <>
      {text.split("`").map((part, index) =>
        index % 2 ? (
          <code key={index} class="mono anywhere">
            {part}
          </code>
        ) : (
          part
        ),
      )}
    </>
  );
}
