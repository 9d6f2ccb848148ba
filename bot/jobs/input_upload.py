"""Copy a person's attachments to fal's storage before a submit, because Discord's signed URLs expire."""

from __future__ import annotations

from bot.catalogue import picture_options, with_pictures
from bot.domain.job import Job
from bot.domain.picture import Picture
from bot.domain.ports import AttachmentSource, ImageBackend
from bot.domain.request import GenerationRequest
from bot.jobs.context import RunnerContext
from bot.media import mask_matches

#: URL of an attachment → the option it was given for, and the picture.
_Fetched = dict[str, tuple[str, Picture]]


class InputUploader:
    """Uploads the attachments of a job to fal's storage."""

    def __init__(self, context: RunnerContext, fal: ImageBackend, attachments: AttachmentSource) -> None:
        self._context = context
        self._fal = fal
        self._attachments = attachments

    async def uploaded(self, job: Job) -> GenerationRequest:
        """Return the job's request with its Discord attachment URLs replaced by those of copies at fal.

        Raises:
            BadPicture: an attachment is no picture, or a mask does not fit its picture.
        """
        fetched = await _with_matching_masks(await self._fetch(job))
        copies = {url: await self._upload(job, picture, option) for url, (option, picture) in fetched.items()}
        return with_pictures(job.request, copies)

    async def _fetch(self, job: Job) -> _Fetched:
        fetched: _Fetched = {}
        for option, urls in picture_options(self._context.model(job), job.request).items():
            for url in urls:
                if url not in fetched and self._attachments.is_attachment(url):
                    fetched[url] = (option, await self._attachments.fetch(url, option=option))
        return fetched

    async def _upload(self, job: Job, picture: Picture, option: str) -> str:
        name = f"{option}.{picture.extension}"
        return await self._context.retry_fal(job, lambda: self._fal.upload(picture.body, picture.content_type, name))


async def _with_matching_masks(fetched: _Fetched) -> _Fetched:
    """Scale each mask to the dimensions of its picture. Raises BadPicture when the aspect ratios differ."""
    image = next((picture for option, picture in fetched.values() if option == "image"), None)
    if image is None:
        return fetched
    return {
        url: (option, await mask_matches(image, picture) if option == "mask" else picture)
        for url, (option, picture) in fetched.items()
    }
