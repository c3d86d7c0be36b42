import { Html } from '../../http/page.js';

const icon = (paths: string): Html =>
  new Html(
    `<svg class="icon" viewBox="0 0 24 24" width="22" height="22" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">${paths}</svg>`,
  );

/** Drawn for this console; on a narrow screen they stand above the names of the sections. */
export const icons = {
  overview: icon('<path d="M3 17.5 8.5 11l4 4L21 6"/><path d="M15.5 6H21v5.5"/>'),
  mail: icon('<rect x="3" y="5" width="18" height="14" rx="2.5"/><path d="m3.5 7.5 8.5 6 8.5-6"/>'),
  admins: icon(
    '<circle cx="9" cy="8.5" r="3.5"/><path d="M2.5 20c.6-3.6 3.2-5.5 6.5-5.5s5.9 1.9 6.5 5.5"/><path d="M16 5.3a3.5 3.5 0 0 1 0 6.4M18.5 15c1.7.8 2.7 2.5 3 5"/>',
  ),
  schedule: icon('<circle cx="12" cy="12" r="8.5"/><path d="M12 7v5l3.5 2"/>'),
  audit: icon(
    '<path d="M7 3.5h7L19 8.5V19a1.5 1.5 0 0 1-1.5 1.5h-10.5A1.5 1.5 0 0 1 5.5 19V5A1.5 1.5 0 0 1 7 3.5Z"/><path d="M9 12h6M9 16h6"/>',
  ),
  /** A tick in a rounded square, as a data URL. */
  favicon:
    'data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 32 32%22%3E%3Crect width=%2232%22 height=%2232%22 rx=%228%22 fill=%22%232f5fe0%22/%3E%3Cpath d=%22M8 16.5l5.5 5.5L24 11%22 fill=%22none%22 stroke=%22%23fff%22 stroke-width=%223.5%22 stroke-linecap=%22round%22 stroke-linejoin=%22round%22/%3E%3C/svg%3E',
} as const;
