# Pages about no single job: models, limits, settings, help, privacy; and the windows to type in.

## Models

models_count = **{ $count ->
        [one] { $count } model
       *[other] { $count } models
    }**. Yours here is **{ $default }**. Choose one to read about it.
models_rest = To find the others, type `/models` and a few letters.
models_choose = Choose a model
models_choose_range = { $first } to { $last }
model_facts = About { $duration } a picture · { $price }
model_note = Note: { $note }
model_needs = Needs { AND(CODES($needs)) } every time, so it can't be a default; **Paint with this** asks for them.
model_options = **Options**
model_options_more = … and { $count } more: { $options }
model_no_options = It takes a prompt and nothing else.
price_unknown = price unknown
price_assumed = price unknown, so each picture counts as { MONEY($usd) }
option_costs = { $option }; a picture costs { JOIN($prices, by: ", ") }
option_costs_value = { MONEY($usd) } with { $value }
option_costs_range = { $option }; a picture costs { MONEY($least) } to { MONEY($most) }
price_per_image = { MONEY($usd) } per image
price_per_image_about = about { MONEY($usd) } per image
price_per_image_range = { MONEY($least) } to { MONEY($most) } per image
price_per_image_range_about = about { MONEY($least) } to { MONEY($most) } per image
price_per_megapixel = { MONEY($usd) } per megapixel
price_per_megapixel_about = about { MONEY($usd) } per megapixel
price_per_megapixel_range = { MONEY($least) } to { MONEY($most) } per megapixel
price_per_megapixel_range_about = about { MONEY($least) } to { MONEY($most) } per megapixel
price_per_processed_megapixel = { MONEY($usd) } per megapixel, your pictures included
price_per_processed_megapixel_about = about { MONEY($usd) } per megapixel, your pictures included
price_per_processed_megapixel_range = { MONEY($least) } to { MONEY($most) } per megapixel, your pictures included
price_per_processed_megapixel_range_about = about { MONEY($least) } to { MONEY($most) } per megapixel, your pictures included
price_per_second = { MONEY($usd) } per second
price_per_second_about = about { MONEY($usd) } per second
price_per_second_range = { MONEY($least) } to { MONEY($most) } per second
price_per_second_range_about = about { MONEY($least) } to { MONEY($most) } per second
price_per_request = { MONEY($usd) } per order
price_per_request_about = about { MONEY($usd) } per order
price_per_request_range = { MONEY($least) } to { MONEY($most) } per order
price_per_request_range_about = about { MONEY($least) } to { MONEY($most) } per order

## Usage

usage_title = What you have left
usage_unlimited = There are no limits here.
usage_now = **{ $pictures ->
        [one] { $pictures } picture
       *[other] { $pictures } pictures
    }** right now.
usage_burst = Hourly limit: { $pictures } of { $burst ->
        [one] { $burst } picture
       *[other] { $burst } pictures
    } left for now; { $per_hour ->
        [1] { $per_hour } more comes back every hour
       *[other] { $per_hour } more come back every hour
    }, and all are back from { CLOCK($full_at) }.
usage_today = Today: { $pictures ->
        [one] { $pictures } picture
       *[other] { $pictures } pictures
    } left. The day's count starts again at { CLOCK($at) }.
usage_guild_today = The whole server today: { $pictures ->
        [one] { $pictures } picture
       *[other] { $pictures } pictures
    } left.
usage_money = Your budget for today: { MONEY($left) } of { MONEY($bound) } left. It starts again at { CLOCK($at) }.
usage_server_usd_day = This server's budget for today is used up. It starts again at { CLOCK($at) }.
usage_server_usd_day_never = This server's budget is 0 a day, so nothing is painted here.
usage_server_usd_month = This server's budget for this month is used up. It starts again at { $at }.
usage_server_usd_month_never = This server's budget is 0 a month, so nothing is painted here.
usage_all_usd_day = The budget that all users of this bot share for today is used up. It starts again at { CLOCK($at) }.
usage_all_usd_month = The budget that all users of this bot share for this month is used up. It starts again at { $at }.
usage_no_free_jobs = You have as many requests in progress as are possible at once. You can ask for the next one when one of them is done.
usage_no_free_jobs_guild = This server has as many requests in progress as are possible at once. The next one is possible when any of them is done.
usage_nothing = You have no requests in progress.
usage_under_way = **In progress**
usage_ahead = { $ahead ->
        [0] next in line
        [one] { $ahead } request before it
       *[other] { $ahead } requests before it
    }
stage_waiting = waiting
stage_at_fal = at fal.ai
stage_painted = painted, being posted
stage_ended = ended
cancel_nothing = You have no requests in progress.
cancel_which = You have { $count ->
        [one] { $count } request
       *[other] { $count } requests
    } in progress. Which one should stop?
cancel_one = Cancel one…

# A job in the list that /cancel offers while typing, with its state.
job_held = { $job } (waits for a check)
job_queued = { $job } (waiting)
job_submitting = { $job } (being sent to fal.ai)
job_running = { $job } (being painted)
job_finished = { $job } (painted, being posted)
job_delivered = { $job } (posted)
job_failed = { $job } (failed)
job_cancelled = { $job } (cancelled)

## Settings

settings_title = Settings
settings_saved = **Saved.** These limits hold from now on.
settings_model_your = Model: **{ $model }** (your default)
settings_model_server = Model: **{ $model }** (the server's default)
settings_model_usual = Model: **{ $model }** (the usual default)
settings_change_model = Change it with `/settings model`.
settings_guild_model = This server's default: **{ $model }**
settings_limits = **Limits for you here**
settings_overrides = Set by this server: { AND($names) }.
settings_change_limits = People with Manage Server can change them with `/settings limits` and `/settings budget`.
settings_no_limits = None.
settings_rate = At most { $burst ->
        [one] { $burst } picture
       *[other] { $burst } pictures in a row
    } after a pause, then { $per_hour } an hour
settings_images_per_day = { $pictures ->
        [one] { $pictures } picture
       *[other] { $pictures } pictures
    } a day
settings_concurrent_jobs = { $requests ->
        [one] { $requests } request
       *[other] { $requests } requests
    } at the same time
settings_guild_images_per_day = { $pictures ->
        [one] { $pictures } picture
       *[other] { $pictures } pictures
    } a day for the whole server
settings_guild_concurrent_jobs = { $requests ->
        [one] { $requests } request
       *[other] { $requests } requests
    } at the same time for the whole server
settings_person_usd_day = { MONEY($usd) } a day for each person
settings_server_usd_day = { MONEY($usd) } a day for the whole server
settings_server_usd_month = { MONEY($usd) } a month for the whole server
limit_name_images_per_hour = pictures an hour
limit_name_burst_images = pictures in a row
limit_name_images_per_day = pictures a day
limit_name_concurrent_jobs = requests at the same time
limit_name_guild_images_per_day = pictures a day for the whole server
limit_name_guild_concurrent_jobs = requests at the same time for the whole server
limit_name_person_usd_day = money a day for each person
limit_name_server_usd_day = money a day for the whole server
limit_name_server_usd_month = money a month for the whole server
default_needs_more = { $model } needs { AND(CODES($needs)) } every time, so it can't be a default: a plain `/imagine` brings only words. Name it when you paint with it: `model:{ $key }`. Nothing was changed.
default_passed_over = The default { $model } (`{ $key }`) is not used here: it needs { AND(CODES($needs)) } every time, and this request brought only words. `/settings model` sets another.
default_mine = Saved. Your default model is now **{ $model }**.
default_mine_reset = Saved. Your default model is the usual one again.
default_server = Saved. This server's default model is now **{ $model }**.
default_server_reset = Saved. This server's default model is the usual one again.

## Help

help_title = Paint with words
help_start = Type `/imagine` and say what you want to see. **{ $model }** paints unless you name a model.
help_try = Three to try:
# What follows `/imagine prompt:`; the names of options stay as they are.
help_example_one = a lighthouse in a storm, oil painting
help_example_two = a fox asleep in a teacup size:16:9 count:2
help_example_three = a paper city at dawn seed:7
help_buttons = Under every picture: **Again** paints it with a new seed, **Edit prompt** lets you change the words, **Details** shows every value to copy, **Delete** removes the picture.
help_fix = If something can't be painted, **Fix it** brings back everything you typed, so that you can change it.
help_commands = `/usage` what you have left · `/cancel` stop one · `/settings` your default model · `/privacy` your data

## Privacy

privacy_title = Your data
privacy_kept = **Kept here:** your Discord id, the channel, your prompts and options, the times, what you used up, links to the results, the price, and your default model. What could not be painted waits 24 hours to be fixed. Not the pictures themselves.
privacy_sent = **Sent to fal.ai,** which runs the models: the prompt, the options and the pictures you attach; never who you are. fal.ai is told not to keep it, and finished pictures stay on its servers for a time.
privacy_sent_kept = **Sent to fal.ai,** which runs the models: the prompt, the options and the pictures you attach; never who you are. fal.ai may keep it up to 30 days, and finished pictures stay on its servers for a time.
privacy_how_long = **How long:** requests are deleted after { $days ->
        [one] { $days } day
       *[other] { $days } days
    }, your default model when you reset it. What each person painted and spent, as sums with their Discord id and without any prompt, is kept for this month and the last: up to two months.
privacy_deleting = **Deleting:** the button removes your requests, prompts and settings for good and cancels what is in progress. How much you used up today keeps counting until the day is over (UTC); older sums stay without your id. Pictures already posted stay in Discord until you press Delete under them.
erase_question = Delete everything stored about you here? What is being painted is cancelled. Under your old pictures only Delete will still work. This can't be undone.
erase_dismissed = Nothing was deleted.
erased = Deleted: { $requests ->
        [one] { $requests } request
       *[other] { $requests } requests
    } with prompts, and your settings.
erased_cancelled = { $pictures ->
        [one] { $pictures } picture in progress was
       *[other] { $pictures } pictures in progress were
    } cancelled.
erased_left = { $requests ->
        [one] { $requests } request
       *[other] { $requests } requests
    } can't be stopped right now. Please press **Delete my data** again in a minute.

## Windows to type in; labels have at most 45 characters, the smaller text 100

form_compose = Paint with { $model }
form_edit = Edit and paint again
form_fix = Fix it
form_optional = { $field } (optional)
form_choose = Choose…
form_prompt = Prompt
form_prompt_hint = What should be painted?
form_model = Model
form_model_hint = Its short name; /models lists them all.
form_negative_prompt = Negative prompt
form_negative_prompt_hint = What should not be in the picture.
form_size = Size
form_size_example = landscape, 16:9 or 1280x720
form_size_hint = A name, a shape such as 16:9, or width and height.
form_count = How many pictures
form_seed = Seed
form_style = Style
form_steps = Steps
form_guidance = Guidance
form_image = Picture
form_image_hint = A picture to start from.
form_mask = Mask
form_mask_hint = The same picture: white where it may change, black elsewhere.
form_file_kept = Yours is kept. Choose a file only to replace it.
form_options = More options
form_options_hint = As name=value pairs; /models name:{ $model } lists them.
form_rest = … and the rest of it
form_rest_hint = At most { $most } characters in all: please shorten it, here or above.
form_delete = Delete this message?
form_delete_question = Press **Submit** to delete the message for everybody here, with its prompt and options. This can't be undone. Press **Cancel** to keep it.

## Alerts, in a channel for those who run the bot or manage a server

alert_this_server = This server
alert_server = The server { $name } ({ $id })
alert_everybody = The whole bot
alert_day = { $who } has used { $percent } % of its budget for today: { MONEY($spent) } of { MONEY($budget) }. A new day begins at { CLOCK($at) }.
alert_day_over = { $who } has used up its budget for today: { MONEY($spent) } of { MONEY($budget) }. No more pictures until { CLOCK($at) }.
alert_day_refused = { $who } has nearly used up its budget for today: { MONEY($spent) } of { MONEY($budget) }. Someone just asked for more than what is left, and was refused. A new day begins at { CLOCK($at) }.
alert_month = { $who } has used { $percent } % of its budget for this month: { MONEY($spent) } of { MONEY($budget) }. A new month begins on { $at }.
alert_month_over = { $who } has used up its budget for this month: { MONEY($spent) } of { MONEY($budget) }. No more pictures until { $at }.
alert_month_refused = { $who } has nearly used up its budget for this month: { MONEY($spent) } of { MONEY($budget) }. Someone just asked for more than what is left, and was refused. A new month begins on { $at }.
alert_many_servers = There were { $count } alerts about single servers today, so further ones are only in the log. `python -m bot costs --by server` shows what each server has spent.
alert_credit = fal.ai refuses to paint: the account has been out of credit since { $at }. Please top it up at fal.ai, under Billing. Requests wait for it, 24 hours at most, and then go on by themselves.
alerts_here = Alerts about this server's budgets come to this channel from now on.
alerts_set = Alerts about this server's budgets now come to { $channel }: one each at 50, 80 and 100 %.
alerts_off = This server gets no alerts any more.
alerts_now_here = Alerts about this server's budgets come to { $channel }. Choose another channel with `/settings alerts`, or turn them off.
alerts_now_off = This server gets no alerts about its budgets. Choose a channel for them with `/settings alerts`.
