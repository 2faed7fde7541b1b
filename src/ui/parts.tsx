import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

/** Small parts that several views use. */

/** Heading of a view; it is focused when the view is opened, so that what follows is read out. */
export function ViewTitle({
  children,
  title,
}: {
  children: ComponentChildren;
  title: string;
}): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · orbweaver`;
    if (document.activeElement !== document.body) heading.current?.focus({ preventScroll: true });
  }, [title]);
  return (
    <h1 tabIndex={-1} ref={heading}>
      {children}
    </h1>
  );
}

export function Problem({ message, retry }: { message: string; retry?: () => void }): JSX.Element {
  return (
    <div class="problem" role="alert">
      <p>{message}</p>
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Shown while something is loaded for the first time; not before it takes a moment. */
export function Waiting({ what }: { what: string }): JSX.Element {
  return <p class="waiting">Loading {what}…</p>;
}

export function Empty({ children }: { children: ComponentChildren }): JSX.Element {
  return <div class="empty">{children}</div>;
}

/** A hash in full where there is room, with a button that copies it. */
export function Hash({ hash, label }: { hash: string; label: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(hash).catch(() => undefined);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <span class="hash">
      <code>{hash}</code>
      <button type="button" class="quiet" aria-label={`Copy the ${label}`} onClick={copy}>
        {copied ? 'Copied' : 'Copy'}
      </button>
    </span>
  );
}
