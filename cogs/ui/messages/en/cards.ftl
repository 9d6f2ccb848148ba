# Cards about a job, and small parts that many messages use.

## Small parts

duration_tenths = { NUMBER($seconds, minimumFractionDigits: 1) } s
duration_seconds = { $seconds } s
duration_minutes = { $minutes } min
duration_minutes_seconds = { $minutes } min { $seconds } s
duration_hours = { $hours } h
duration_hours_minutes = { $hours } h { $minutes } min
a_few_seconds = a few seconds
almost_done = almost done
time_left = about { $duration } left
usd = { MONEY($amount) }
usd_under = under { MONEY($amount) }
nothing_visible = (nothing visible)

## Under way

cancelling = Cancelling…
resumed = I was restarted; your picture is safe and goes on.
fal_away = fal.ai does not answer just now. I keep asking; nothing is lost.
progress_capped_user = Waiting until one of yours is painted.
progress_capped_guild = Waiting until another one of this server is painted.
progress_ahead = Waiting: { $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before yours.
progress_next = Next in line.
progress_handed = Handed to fal.ai, waiting for it to start.
progress_ahead_at_fal = Waiting at fal.ai: { $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before yours.
progress_next_at_fal = Next in line at fal.ai.
progress_painting = Painting…
progress_bar = Painting { $bar } { $percent } %
progress_step = Step { $step } of { $steps }
progress_delivering = Painted. Bringing it here…
progress_confirming = fal.ai's answer got lost on the way. I look for it there, and send it again at { CLOCK($until) } at the latest.
progress_restarting = I am being restarted. Your picture is safe: it starts as soon as I am back.

## Finished

seed = seed `{ $seed }`
for_person = for { $person }
flagged = Flagged by the safety checker: behind a spoiler, and often painted black by fal.ai.
pictures_withheld = { $count ->
        [one] { $count } picture was
       *[other] { $count } pictures were
    } flagged by the safety checker and kept back.
words_filtered = This server's word filter does not let me show the prompt here.
card_moved = I could not change this message, so here is what became of it: { $link }
card_moved_private = I could not change this message; what became of it is in our direct messages.
posted_channel_gone = The channel that you asked in is gone, so it comes here.
posted_elsewhere = I can no longer post in { $channel }, so it comes here.

# What a screen reader says.
alt_painted = A picture painted from the prompt: { $prompt }
alt_painted_of = Picture { $number } of { $count }, painted from the prompt: { $prompt }
alt_unreadable = an unreadable prompt
alt_made = A picture { $made } by { $model }
alt_made_of = Picture { $number } of { $count }, { $made } by { $model }
made = made
made_text_to_image = painted
made_edit = edited
made_inpaint = painted anew in a part
made_reframe = extended to another shape
made_upscale = enlarged
made_cut_out = cut out
made_describe = described
made_video = set in motion

## Details

details_price = Price: { $price }
details_price_unknown = Price: unknown
details_time = Time at fal.ai: { $duration }
details_attach_again = Pictures have to be attached again.
details_tokens = OpenAI tokens: { $tokens }
details_asked = Asked for by { $person } { AGO($at) }
details_job = Job { $id }
details_paste = To paint it again, paste:
details_long = The prompt is long; everything is in this file:
details_beginning = The beginning:
details_defaults = Not chosen, so as the model has it:
details_attached = an attached picture

## Buttons

action_cancel = Cancel
action_why = Why am I waiting?
action_again = Again
action_edit = Edit prompt
action_details = Details
action_delete = Delete
action_paint = Paint with this
action_mydefault = Use as my default
    .chosen = Your default
action_fix = Fix it
action_fixjob = Fix it
action_fixmore = Other fields
action_goon = Try again
action_omit = Leave it out
    .picture = Go on without the picture
action_compose = Write a prompt
action_models = Browse models
action_usage = What I have left
action_eraseask = Delete my data
action_erase = Yes, delete everything
action_erasenot = Keep it
action_numbered = { $action } { $number }

## Why am I waiting?

waiting_title_own = Why am I waiting?
waiting_title = Why is it waiting?
waiting_held = Somebody has to look at it before it is painted. Nothing is spent until then.
waiting_handing = It is just being handed to fal.ai.
waiting_answer_lost = I handed it to fal.ai, and the answer got lost on the way. I look for it there before I send it again, so that nothing is painted or charged twice. That can take some minutes; your picture is safe.
waiting_finished = It is painted. I am bringing it here.
waiting_delivered = It does not wait any more: it is painted and posted.
waiting_ended_own = It does not wait any more: it has ended. Your quota was not used.
waiting_ended = It does not wait any more: it has ended. Their quota was not used.
waiting_next = **Next in line.** { $waiting ->
        [one] { $waiting } request waits
       *[other] { $waiting } requests wait
    } in all.
waiting_before = **{ $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it**. { $waiting ->
        [one] { $waiting } request waits
       *[other] { $waiting } requests wait
    } in all.
waiting_before_some_own = **{ $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it**, { $theirs } of them yours. { $waiting ->
        [one] { $waiting } request waits
       *[other] { $waiting } requests wait
    } in all.
waiting_before_some = **{ $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it**, { $theirs } of them by the same person. { $waiting ->
        [one] { $waiting } request waits
       *[other] { $waiting } requests wait
    } in all.
waiting_before_all_own = **{ $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it**, { $ahead ->
        [1] yours
        [2] both yours
       *[other] all yours
    }. { $waiting ->
        [one] { $waiting } request waits
       *[other] { $waiting } requests wait
    } in all.
waiting_before_all = **{ $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it**, { $ahead ->
        [1] by the same person
        [2] both by the same person
       *[other] all by the same person
    }. { $waiting ->
        [one] { $waiting } request waits
       *[other] { $waiting } requests wait
    } in all.
waiting_capped_own = { $number ->
        [one] { $number } request of yours is
       *[other] { $number } requests of yours are
    } at fal.ai, the most at once for one person. { waiting_one_starts }
waiting_capped_person = { $number ->
        [one] { $number } request of the same person is
       *[other] { $number } requests of the same person are
    } at fal.ai, the most at once for one person. { waiting_one_starts }
waiting_capped_guild = { $number ->
        [one] { $number } request of this server is
       *[other] { $number } requests of this server are
    } at fal.ai, the most at once for it. { waiting_one_starts }
waiting_capped_all = { $places ->
        [1] The one place at fal.ai is
       *[other] All { $places } places at fal.ai are
    } taken. { waiting_one_starts }
waiting_one_starts = When one is painted, the next one starts.
waiting_room = There is room for it: it starts in a moment.
waiting_starts_in = It should start in about **{ $duration }**, going by how long pictures take.
waiting_painted = It does not wait any more: it is being painted.
waiting_painted_left = It does not wait any more: it is being painted, { $left }.
waiting_at_fal_next = It has left my queue: fal.ai has it, and is next in line there.
waiting_at_fal_before = It has left my queue: fal.ai has it, with { $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it.
waiting_at_fal_few = fal.ai starts only a few at once for one account, and the rest has to wait there.
waiting_at_fal = It has left my queue: fal.ai has it and will start it.
waiting_restarted = I was restarted a moment ago and am taking everything up again; nothing is lost.
waiting_turns_server = Servers take turns, and within a server people do, so nobody's long list holds up the others.
waiting_turns = Servers and people take turns, so nobody's long list holds up the others.
waiting_weight_own = Your roles give you { $weight } turns to one of others here.
waiting_weight = Their roles give them { $weight } turns to one of others here.
waiting_now = At fal.ai now: { $count }
waiting_now_guild = of this server: { $count }
waiting_now_own = yours: { $count }
waiting_now_person = of the same person: { $count }
waiting_of = { $number } of { $cap }
