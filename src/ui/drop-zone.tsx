import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { messageOf } from './api.js';
import { fromDrop, fromInput, type PickedFile } from './picked.js';
import { linkTo } from './route.js';
import { TaskList } from './task-list.js';
import { type UploadPlace, uploadFiles } from './uploads.js';

/** Files and folders are dropped here, or picked by buttons, which is all that a keyboard needs. */
export function DropZone({
  place,
  onCommitted,
}: {
  place: UploadPlace;
  onCommitted: () => void;
}): JSX.Element {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const [isOver, setIsOver] = useState(false);
  const [error, setError] = useState('');
  const start = async (
    picked: readonly PickedFile[] | Promise<readonly PickedFile[]>,
  ): Promise<void> => {
    setError('');
    try {
      if (await uploadFiles(place, await picked)) onCommitted();
    } catch (failure) {
      setError(messageOf(failure));
    }
  };
  const chosen = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    if (input.files !== null) void start(fromInput(input.files));
    input.value = '';
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setIsOver(false);
    if (event.dataTransfer !== null) void start(fromDrop(event.dataTransfer));
  };
  const over = (event: DragEvent): void => {
    event.preventDefault();
    setIsOver(true);
  };
  const where = place.folder === '' ? place.repo.id : `${place.repo.id}/${place.folder}`;
  return (
    <section aria-labelledby="upload">
      <h2 id="upload">Upload</h2>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: dropping is for the mouse; the buttons do the same */}
      <div
        class={isOver ? 'drop over' : 'drop'}
        onDragOver={over}
        onDragEnter={over}
        onDragLeave={() => setIsOver(false)}
        onDrop={drop}
      >
        <p>
          Drop files or folders here. They are{' '}
          {place.repo.type === 'buckets' ? 'added to' : 'committed to'}{' '}
          {place.repo.type !== 'buckets' && (
            <>
              <b>{place.branch}</b> of{' '}
            </>
          )}
          <b>{where}</b>.
        </p>
        <p class="buttons">
          <button type="button" class="primary" onClick={() => files.current?.click()}>
            Choose files
          </button>
          <button type="button" onClick={() => folder.current?.click()}>
            Choose a folder
          </button>
        </p>
        <input
          ref={files}
          type="file"
          multiple
          hidden
          aria-label="Files to upload"
          onChange={chosen}
        />
        <input
          ref={folder}
          type="file"
          hidden
          aria-label="Folder to upload"
          {...{ webkitdirectory: true }}
          onChange={chosen}
        />
      </div>
      {error !== '' && (
        <p role="alert" class="error">
          {error}
        </p>
      )}
      <TaskList kind="upload" most={3} />
      <p class="note">
        Uploads go on while you look elsewhere in this page;{' '}
        <a href={linkTo({ view: 'transfers' })}>transfers</a> lists all of them. Closing the tab
        ends them.
      </p>
    </section>
  );
}
