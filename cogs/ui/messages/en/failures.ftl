# Why a request was not accepted, and why a job ended without a picture.

# Stored by a version that kept whole sentences.
as_stored = { $text }
message_missing = I have no text for this message in this version ({ $message }).

# The one wording; everything that ends without a picture says it.
no_quota = No quota was used.

## Refusals: nothing was started

invalid_option = `{ $option }` can't be `{ $given }`. It takes { $takes }. { no_quota }
invalid_option_because = { $why } { no_quota }
unknown_model = There is no model `{ $given }` here. `/models` lists them all. { no_quota }
unknown_model_good_at = There is no model `{ $given }` here, but these are good at it: { CODES($close) }. Name one of them as the model, or write it in your prompt. `/models` lists them all. { no_quota }
unknown_model_close = There is no model `{ $given }` here. Did you mean { JOIN(CODES($close), by: " or ") }? `/models` lists them all. { no_quota }
model_unavailable = { $title } is not available here: { $why }. Choose another model from `/models`. { no_quota }
unavailable_off = it is switched off on this bot
unavailable_task = it is not made for this command
unavailable_keyless = it needs an OpenAI key, which this bot does not have
no_models = No model is available here: whoever runs the bot has switched all of them off. { no_quota }
cannot_post_here = I can't post pictures in this channel, because I lack { $count ->
        [one] this permission: { AND($missing) }. Ask a moderator to allow it
       *[other] these permissions: { AND($missing) }. Ask a moderator to allow them
    }, or use me in another channel. { no_quota }
permission_view_channel = View Channel
permission_send_messages = Send Messages
permission_send_messages_in_threads = Send Messages in Threads
permission_attach_files = Attach Files
not_admitted_server = I am not open to this server, so nothing was started: please ask { $ask } if you want that to change.
not_admitted_person = I am not open to you, so nothing was started: please ask { $ask } if you want that to change.
not_admitted_user_install = I only work in servers that have added me, not where somebody brings me along, so nothing was started: please ask { $ask } if you want that to change.
not_admitted_direct_message = I am not open to you in direct messages and group chats, so nothing was started: please ask { $ask } if you want that to change.
whoever_runs_it = whoever runs this bot
people_or = { OR($people) }
not_yours_cancel = Only the person who asked for this picture can cancel it, or a moderator of its server (Manage Messages).
not_yours_delete = Only the person who asked for this picture can delete it, or a moderator of its server (Manage Messages).
not_yours_repeat = Only the person who asked for this picture can repeat it, because it starts from a file of theirs. Use `/imagine` with a file of your own. { no_quota }
draft_expired = This request waited too long and is gone, so this button can't work. Start again with `/imagine`. { no_quota }
job_unknown = I no longer have any data about this picture, so this button can't work. Start again with `/imagine`. { no_quota }
overloaded = { $waiting ->
        [one] { $waiting } request is
       *[other] { $waiting } requests are
    } already waiting, so I can't take another one right now. Please try again { $when }. { no_quota }
overloaded_left = { $waiting ->
        [one] { $waiting } request is
       *[other] { $waiting } requests are
    } already waiting, so I can't take another one right now. Please try again { $when }. You still have { $left ->
        [one] { $left } picture
       *[other] { $left } pictures
    } today. { no_quota }
in_a_minute = in a minute
at_moment = { AGO($at) }
after_moment = after { CLOCK($at) }
settings_only_in_server = This is a setting for a server. Use the command in that server. Nothing was changed.
settings_not_member = I am not a member of this server, so I keep no settings for it. Nothing was changed.
settings_above_ceiling = The most that you can set here for “{ $name }” is { $most }. Whoever runs this bot decides that; please ask { $ask } if this server should have more. Nothing was changed.
settings_channel_closed = I can't post in { $channel }. Allow me View Channel and Send Messages there, or choose another channel. Nothing was changed.
settings_not_manager = Only people with the permission Manage Server can change this. Nothing was changed.

price_unconfirmed = { $pictures ->
        [one] This picture by **{ $model }** costs
       *[other] These { $pictures } pictures by **{ $model }** cost
    } { $price }. { $left } Nothing is painted until you press **{ $button }**; the button works for 24 hours.
price_at_most = **{ MONEY($usd) }** at most
price_about = **about { MONEY($usd) }**, as the exact price is not known
price_left = You have { MONEY($usd) } left for today.

answer_filtered = This server's word filter does not let me show my answer here. Try it in another channel, or in a direct message to me.

## A file that somebody attached

bad_picture = I can't use the file given as `{ $option }`: { $why }. { no_quota }
file_unreadable = models can't read { $format } files. Send a PNG, JPEG or WebP picture
file_too_large = it is larger than { $mebibytes } MiB
file_too_many_pixels = { $size } is too large (at most { $megapixels } megapixels)
file_expired = Discord's link to it has expired. Please attach it again with `/imagine`
file_foreign = it is not a Discord attachment
file_gone = Discord no longer has it. Please attach it again
file_unreachable = I could not download it from Discord. Please try again in a moment
mask_shape = it is { $mask } but the picture is { $picture }. Send a mask of the same shape as the picture

## Limits

limit_rate = That's a bit fast: { $left ->
        [0] you have none left for now
        [one] you have { $left } picture left for now
       *[other] you have { $left } pictures left for now
    }. From { CLOCK($at) } you can paint { $images ->
        [one] { $images } picture
       *[other] { $images } pictures
    }. You have { $left_today ->
        [one] { $left_today } picture
       *[other] { $left_today } pictures
    } left today. { no_quota }
limit_rate_never = That would be { $images ->
        [one] { $images } picture
       *[other] { $images } pictures
    } in one request; ask for at most { $bound } at once. Right now { $left ->
        [one] { $left } picture
       *[other] { $left } pictures
    } would go through. { no_quota }
limit_rate_never_now = That would be { $images ->
        [one] { $images } picture
       *[other] { $images } pictures
    } in one request; ask for at most { $bound } at once. Right now { $left ->
        [one] { $left } picture
       *[other] { $left } pictures
    } would go through, the next one from { CLOCK($at) }. { no_quota }
limit_user_day_zero = Your limit here is 0 pictures a day, so I can't paint for you. { no_quota }
limit_user_day = { $images ->
        [one] { $images } picture
       *[other] { $images } pictures
    } would be more than your { $bound ->
        [one] { $bound } picture
       *[other] { $bound } pictures
    } a day. You have { $left ->
        [0] none left
       *[other] { $left } left
    } today. The count starts again at { CLOCK($at) }. { no_quota }
limit_user_day_never = { $images ->
        [one] { $images } picture
       *[other] { $images } pictures
    } would be more than your { $bound ->
        [one] { $bound } picture
       *[other] { $bound } pictures
    } a day. You have { $left ->
        [0] none left
       *[other] { $left } left
    } today. Ask for at most { $most } at once. { no_quota }
limit_user_day_never_now = { $images ->
        [one] { $images } picture
       *[other] { $images } pictures
    } would be more than your { $bound ->
        [one] { $bound } picture
       *[other] { $bound } pictures
    } a day. You have { $left ->
        [0] none left
       *[other] { $left } left
    } today. Ask for at most { $most } at once; the count starts again at { CLOCK($at) }. { no_quota }
limit_guild_day_zero = This server's limit is 0 pictures a day, so I can't paint here. { no_quota }
limit_guild_day = { $images ->
        [one] { $images } picture
       *[other] { $images } pictures
    } would be more than this server's { $bound ->
        [one] { $bound } picture
       *[other] { $bound } pictures
    } a day. The server has { $left ->
        [0] none left
       *[other] { $left } left
    } today. The count starts again at { CLOCK($at) }. Your own limit leaves you { $own ->
        [one] { $own } picture
       *[other] { $own } pictures
    } today. { no_quota }
limit_guild_day_never = { $images ->
        [one] { $images } picture
       *[other] { $images } pictures
    } would be more than this server's { $bound ->
        [one] { $bound } picture
       *[other] { $bound } pictures
    } a day. The server has { $left ->
        [0] none left
       *[other] { $left } left
    } today. Ask for at most { $most } at once. Your own limit leaves you { $own ->
        [one] { $own } picture
       *[other] { $own } pictures
    } today. { no_quota }
limit_guild_day_never_now = { $images ->
        [one] { $images } picture
       *[other] { $images } pictures
    } would be more than this server's { $bound ->
        [one] { $bound } picture
       *[other] { $bound } pictures
    } a day. The server has { $left ->
        [0] none left
       *[other] { $left } left
    } today. Ask for at most { $most } at once; the count starts again at { CLOCK($at) }. Your own limit leaves you { $own ->
        [one] { $own } picture
       *[other] { $own } pictures
    } today. { no_quota }
limit_concurrent = You already have { $bound ->
        [one] { $bound } request
       *[other] { $bound } requests
    } in progress. That is the most at once. You can ask for the next one as soon as one of them is done, or you `/cancel` one. You have { $left_today ->
        [one] { $left_today } picture
       *[other] { $left_today } pictures
    } left today. { no_quota }
limit_guild_concurrent = This server already has { $bound ->
        [one] { $bound } request
       *[other] { $bound } requests
    } in progress. That is the most at once for a server. You can ask for the next one as soon as any of them is done. You have { $left_today ->
        [one] { $left_today } picture
       *[other] { $left_today } pictures
    } left today. { no_quota }

## Budgets: what may be spent at fal.ai

own_usd_left = Your own budget has { MONEY($left) } left today.
own_usd_unbounded = You have no daily budget of your own.
limit_person_usd_day = This request may cost up to { MONEY($cost) }, and you have { MONEY($left) } left of your { MONEY($bound) } for today. Your budget starts again at { CLOCK($at) }. Fewer or smaller pictures, or a cheaper model from `/models`, may still fit. { no_quota }
limit_person_usd_day_never = This request may cost up to { MONEY($cost) }, which is more than the { MONEY($bound) } that you may spend in a day. You have { MONEY($left) } left today. Ask for fewer or smaller pictures, or choose a cheaper model from `/models`. { no_quota }
limit_person_usd_day_zero = This server's budget for each person is 0 a day, so I can't paint for you here. People with Manage Server can change it. { no_quota }
limit_server_usd_day = This request may cost up to { MONEY($cost) }, and this server's budget for today has less than that left. It starts again at { CLOCK($at) }; something cheaper may still fit. { $own } { no_quota }
limit_server_usd_day_never = This request may cost up to { MONEY($cost) }, which is more than this server may spend in a day. Ask for fewer or smaller pictures, or choose a cheaper model from `/models`. { $own } { no_quota }
limit_server_usd_day_zero = This server's budget is 0 a day, so I can't paint here. People with Manage Server can change it. { no_quota }
limit_server_usd_month = This request may cost up to { MONEY($cost) }, and this server's budget for this month has less than that left. It starts again at { CLOCK($at) }; something cheaper may still fit. { $own } { no_quota }
limit_server_usd_month_never = This request may cost up to { MONEY($cost) }, which is more than this server may spend in a month. Ask for fewer or smaller pictures, or choose a cheaper model from `/models`. { $own } { no_quota }
limit_server_usd_month_zero = This server's budget is 0 a month, so I can't paint here. People with Manage Server can change it. { no_quota }
limit_all_usd_day = This request may cost up to { MONEY($cost) }, and the budget that all users of this bot share for today has less than that left. It starts again at { CLOCK($at) }; something cheaper may still fit. { $own } { no_quota }
limit_all_usd_day_never = This request may cost up to { MONEY($cost) }, which is more than all users of this bot together may spend in a day. Ask for fewer or smaller pictures, or choose a cheaper model from `/models`. { $own } { no_quota }
limit_all_usd_month = This request may cost up to { MONEY($cost) }, and the budget that all users of this bot share for this month has less than that left. It starts again at { CLOCK($at) }; something cheaper may still fit. { $own } { no_quota }
limit_all_usd_month_never = This request may cost up to { MONEY($cost) }, which is more than all users of this bot together may spend in a month. Ask for fewer or smaller pictures, or choose a cheaper model from `/models`. { $own } { no_quota }

## Failures: accepted, and then no picture came of it

# Comes after each of them: what it means for quota and budget.
charge_nothing = { no_quota }
charge_money = None of your pictures were used, but fal.ai may have painted an earlier try, which takes { MONEY($usd) } from your budget.
charge_forgiven = fal.ai had painted it by then and bills { MONEY($usd) } for it. None of your pictures were used.
charge_forgiven_maybe = fal.ai may have painted it by then, which takes up to { MONEY($usd) } from your budget. None of your pictures were used.
charge_counted = fal.ai had painted it by then and bills { MONEY($usd) } for it, so it counts as { $pictures ->
        [one] { $pictures } picture
       *[other] { $pictures } pictures
    } of yours.
charge_counted_maybe = fal.ai may have painted it by then, so it counts as { $pictures ->
        [one] { $pictures } picture
       *[other] { $pictures } pictures
    } of yours and takes up to { MONEY($usd) } from your budget.

unexpected = Something broke on my side (code { $incident }). You can try again.
decoder_unavailable = I can't open any pictures right now. Something is wrong with the computer that I run on, not with your file. Please try again in a few minutes.
preparation_crashed = I crashed each time I opened the pictures you attached, so I stopped trying. Use other pictures, or open and save these again in a picture editor first.
content_refused = The model's content policy refused this prompt: something in it is against the model's rules. Change the wording and try again.
content_refused_picture = The model's content policy refused a picture that you gave: something in it is against the model's rules. Use another picture and try again.
content_refused_picture_named = The model's content policy refused the picture given as `{ $option }`: something in it is against the model's rules. Use another picture and try again.
content_refused_picture_numbered = The model's content policy refused picture { $number } of those given as `{ $option }`: something in it is against the model's rules. Use another one in its place and try again.
content_refused_mask = The model's content policy refused the mask that you gave: something in it is against the model's rules. Use another mask and try again.
content_refused_result = The model's content policy held back the finished picture: something in it is against the model's rules. Press **{ action_again }** for another try, or change the wording.
content_refused_request = The model's content policy refused this request and does not say why. Change the wording, or the pictures if you gave some, and try again.
options_refused = fal.ai did not accept these options: { JOIN($details, by: "; ") }. Change them and try again.
model_gone = { $title } is no longer offered by fal.ai. `/models` shows the others.
model_gone_unnamed = The model of this request is no longer offered by fal.ai. `/models` shows the others.
model_gone_unnamed_successor = The model of this request is no longer offered by fal.ai. Try **{ $successor }** instead.
model_gone_successor = { $title } is no longer offered by fal.ai. Try **{ $successor }** instead.
balance_exhausted = I can't paint right now: the fal.ai account that pays for this bot has run out of credit. You did nothing wrong, and trying again won't help yet. Please tell whoever runs the bot to add credit. What you typed is kept under **{ action_details }**.
key_refused = I can't paint right now: fal.ai does not accept this bot's key, which is like its password. You did nothing wrong, and trying again won't help yet. Please tell whoever runs the bot to check the key. What you typed is kept under **{ action_details }**.
partner_account_refused = { $service } did not accept this bot's account: { $what }. You did nothing wrong. Please tell whoever runs the bot. Until then, press **{ action_fixjob }** to paint with another model.
partner_unverified = the organization behind it has to be verified at { $service } first
partner_credit = it has no credit left, or has reached its spending limit
partner_key = its API key is wrong or no longer valid
partner_access = it may not use this model
partner_busy = { $service } takes no more requests from this bot's account right now. Wait a minute and press **{ action_again }**.
generation_timed_out = The model took too long and was stopped. Press **{ action_again }** to try once more.
provider_error = fal.ai had a problem while painting this. Press **{ action_again }** to try once more.
request_not_found = fal.ai no longer knows this request, so no picture will come. Press **{ action_again }** to try once more.
cancelled = This picture was cancelled at fal.ai. Press **{ action_again }** to try once more.
result_unusable = The model answered, but { $why }. Press **{ action_again }** to try once more.
result_withheld = The safety checker flagged this picture, so I'm not showing it in this channel. Another wording or seed may help.
result_withheld_unjudged = The model did not say whether this picture is safe, so I'm not showing it in this channel. Another wording or seed may help.
submit_never_confirmed = fal.ai did not answer when I sent your request, and the request did not arrive there. Press **{ action_again }** to try once more.
result_blanked = The safety checker painted this picture black, so there is nothing to show. Another wording or seed may help.
resubmit_over_budget = fal.ai's answer to your request was lost, and no budget has room for sending it a second time. So I did not send it again. You can ask for something cheaper, or wait until the budget returns.
no_longer_admitted = Whoever runs this bot has since closed it to you or to this place, so your request ends here.
card_deleted = Cancelled, because its message was deleted.
undeliverable = The picture is finished, but I can no longer post in that channel. Ask a moderator to let me post there, or use me in another channel.
submit_unresolved = fal.ai did not answer when I sent your request, and I could not find out whether the picture was painted. So I did not send it again. fal.ai may charge for it. Press Again to try once more.

## What is wrong with a result; `.given` says the same of a file that somebody attached

picture_empty = the picture it sent is empty
    .given = it is empty
picture_damaged = the picture it sent is damaged
    .given = it is damaged
picture_cut_off = the picture it sent is cut off
    .given = it is cut off
picture_none = what it sent is { $kind }, not a picture
    .given = it is { $kind }, not a picture. Send a PNG, JPEG or WebP picture
picture_sizeless = the picture it sent has no size ({ $width }×{ $height })
    .given = it has no size ({ $width }×{ $height })
picture_huge = the picture it sent is too large to handle ({ $width }×{ $height }, more than { $megapixels } megapixels)
    .given = it is too large to handle ({ $width }×{ $height }, more than { $megapixels } megapixels)
picture_hostile = the picture it sent is built in a way that I don't open
    .given = it is built in a way that I don't open, because files that do harm are built like that
picture_takes_too_long = the picture it sent takes too long to open
    .given = it takes too long to open
picture_takes_too_much_memory = the picture it sent takes too much memory to open
    .given = it takes too much memory to open
picture_sender_paused = pictures from here took too long to open several times, so I open none for some minutes
    .given = several of your pictures took too long to open, so I open no more of them for some minutes
picture_too_large = the { $format } file it made is too large for this channel ({ NUMBER($mebibytes, minimumFractionDigits: 1) } MiB)
pictures_too_large = its files are too large to post together in this channel
answer_unreadable = its answer could not be read
result_gone = the result is no longer there
download_too_large = its picture is larger than { $mebibytes } MiB
download_bad_address = I don't open the web address of its picture
download_gone = its picture is no longer there
no_picture_sent = it sent no picture
no_picture_held = it held no picture
no_picture_made = it made no picture
file_web_page = a web page
file_text = a text file
file_pdf = a PDF
file_archive = an archive
file_avif = an AVIF file
file_heic = a HEIC file
file_video = a video
file_bmp = a BMP file
file_tiff = a TIFF file
file_sound = a sound file
file_unknown = something else
result_converted = The model made a { $before } file, which Discord does not show; this is the same picture as { $after }.
result_recompressed = Saved again as { $after } (it was { $before }), because the file was too large for this channel.
result_made_smaller = Made smaller, from { $before } to { $after }, because the file was too large for this channel.
picture_shrunk = Your picture was made smaller, from { $before } to { $after }: the model takes no larger one.
picture_first_frame = Your picture moves; only its first frame is used.
mask_light_is_drawn = Your mask had see-through parts: they count as black, so only what you painted changes.
mask_erased_is_white = Your mask had see-through parts: they count as white, so what you erased changes.
mask_colour_is_white = Your mask is painted in colour: what you painted counts as white, so it changes; the rest stays.
mask_drawn_is_white = Your mask had see-through parts: what you painted counts as white, so it changes; the rest stays.
mask_empty = it is empty: nothing is drawn on it. Paint the part to change white and the rest black
mask_all_black = it is all black, so nothing would change. Paint the part to change white
mask_all_white = it is all white, so everything would change. Paint the part to keep black
mask_one_grey = it is one grey from edge to edge. Paint the part to change white and the rest black
mask_is_picture = it is the picture itself. Paint the part to change white and the rest black

## What fal.ai says about options that it did not accept

refused_limits = `{ $option }` must be { JOIN($limits, by: " and ") }
refused_fault = `{ $option }`: { $fault }
refused_limits_numbered = `{ $option }` (number { $number }) must be { JOIN($limits, by: " and ") }
refused_fault_numbered = `{ $option }` (number { $number }): { $fault }
refused_more = and { $count } more
refused_picture_unreadable = a picture given could not be read
refused_picture_too_large = the picture given is too large
refused_pictures_too_large = the pictures given are too large together
refused_unknown = fal.ai does not say which
bound_more_than = more than { $value }
bound_at_least = at least { $value }
bound_less_than = less than { $value }
bound_at_most = at most { $value }
bound_multiple = a multiple of { $value }
bound_min_length = at least { $value } characters long
bound_max_length = at most { $value } characters long
bound_min_width = at least { $value } pixels wide
bound_min_height = at least { $value } pixels high
bound_max_width = at most { $value } pixels wide
bound_max_height = at most { $value } pixels high
bound_max_bytes = at most { $value } bytes
bound_min_length_list = at least { $value } in number
bound_max_length_list = at most { $value } in number
bound_max_mebibytes = at most { $value } MiB
bound_max_kibibytes = at most { $value } KiB
bound_one_of_values = one of { JOIN(CODES($values), by: ", ") }
bound_one_of = one of { $value }
fault_missing = it is missing
fault_not_text = it must be text
fault_not_whole = it must be a whole number
fault_not_number = it must be a number
fault_not_boolean = it must be true or false
fault_not_known = the model does not know it
fault_picture_unreadable = the picture could not be read
fault_picture_not_fetched = the picture could not be fetched
fault_no_face = no face was found in the picture
fault_not_supported = the model does not support it
fault_picture_format = the picture's format is not supported
fault_picture_too_small = the picture is too small
fault_picture_too_large = the picture is too large
fault_file_too_large = the file is too large
fault_not_accepted = not accepted
fault_not_address = it must be a web address
fault_too_long = it is too long
fault_too_short = it is too short
fault_prompt_too_long = the prompt is too long for this model
fault_mask_shape = the mask and the picture must have the same size
fault_not_fetched = { $what } could not be fetched
fault_unreadable = { $what } could not be read
fault_format = { $what } has a format that the model does not take
fault_too_small = { $what } is too small
fault_too_large = { $what } is too large a file
fault_too_many_pixels = { $what } has too many pixels
thing_picture = the picture
thing_mask = the mask
thing_lora = the LoRA
thing_controlnet = the ControlNet
thing_prompt = the prompt
thing_file = the file
thing_key = the key
thing_value = the value

## Cancelling

cancelled_unused = Cancelled.
cancelled_unshown = My first answer did not reach Discord.
cancelled_unanswered = Cancelled. fal.ai never answered, so it may still paint it.
cancelled_never_arrived = Cancelled. fal.ai never got it.
cancelled_early = Cancelled before it was sent to fal.ai: nothing was charged.
cancelled_early_unused = Cancelled before it was sent to fal.ai: nothing was charged. { no_quota }
cancelled_midway = Cancelled while it was being painted.
cancelled_before_fal_began = Cancelled before fal.ai began.
cancelled_at_once = Cancelled as soon as fal.ai had it.
cancelled_maybe_painted = Cancelled. fal.ai may have painted it by then.
cancelled_already = This one was cancelled before.
cancelling_elsewhere = Cancelling: it stops in a moment and costs nothing, unless fal.ai has begun to paint it by then.
cancelling_unanswered = Cancelling: fal.ai never answered, so it may still paint it, and bill for it.
cancelling_lost = Cancelling: the connection to fal.ai broke before it answered, so I am checking whether fal.ai has your request. If it has, I stop it there. Your request shows in the end whether it cost something.
cancelling_painted = Cancelling: I asked fal.ai to stop. If it had begun to paint, it may bill for that: your request shows it in the end.
cancelling_submit = Cancelling: I stop it as soon as fal.ai has it.
cancelling_handed = Cancelling: it was just being sent to fal.ai.
cancel_unknown = I no longer have any data about this picture, so there is nothing to cancel.
cancel_too_late = Too late to cancel: the picture is finished and is being posted.
cancel_painted = Too late to cancel: the picture is finished at fal.ai and is being posted.
cancel_ended = This one has ended already, so there is nothing to cancel.
cancel_unreachable = I can't reach fal.ai right now, so the picture was not cancelled. Please try again in a moment.

## Errors that end a command

database_damaged = My database is damaged (code { $incident }), so I did not start this. { no_quota } Trying again won't help: whoever runs the bot has to repair it first. Please tell them this code.
database_away = My database does not answer right now (code { $incident }), so I did not start this. { no_quota } Please try again in a minute. Pictures in progress are posted when it works again.
action_unknown = I don't know this button: it may come from a newer version of me. Nothing was changed. Please use a command instead.
command_stale = This command has just changed. Please wait a moment, then type it again.
command_not_here = You can't use this here.
discord_limited = Discord asks me to slow down, so this did not work. { no_quota } Please try again in a minute.
broken = Something broke on my side (code { $incident }). A picture that you did not get uses no quota. Please try again. If it happens again, tell whoever runs the bot this code.
# A sentence that does not name the code of the incident itself.
with_incident = { $sentence } (code { $incident })
