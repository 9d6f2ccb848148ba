# What the options of a model take, and what is wrong with them. `takes_…` complete "It takes …"; their `.brief` stands
# in lists of options.

## What is wrong

prompt_empty = The prompt is empty; say what to paint.
prompt_invisible = There is nothing to paint in this prompt: mentions, links, formatting, accents and invisible characters alone are not enough. Say in words what to paint; a picture to start from is attached as `image`.
prompt_accents = This prompt has too many accents on top of each other. Write it with a few accents at most.
option_too_long = `{ $option }` has { $length } characters; at most { $most } are allowed.
option_too_long_emoji = `{ $option }` has { $length } characters, where an emoji counts as two; at most { $most } are allowed.
option_twice = `{ $option }` is given twice in `options`.
option_twice_as = `{ $option }` is given twice (as { OR(CODES($names)) }).
option_prompt = The prompt has a field of its own; leave it out of `options`.
option_operator_only = `{ $option }` can only be set by whoever runs the bot.
option_missing = { $model } has no option `{ $option }`. It has { CODES($options) }.
option_missing_close = { $model } has no option `{ $option }`. Did you mean { OR(CODES($close)) }? It has { CODES($options) }.
option_missing_count = { $model } has no option `count`. It paints one picture at a time. It has { CODES($options) }.
option_missing_seed = { $model } has no option `seed`. It chooses its own seed every time. It has { CODES($options) }.
option_needs_members = `{ $option }` needs { CODES($needs) } too.
option_start_above_end = `{ $option }.start_percentage` must not be above `{ $option }.end_percentage`.
options_missing = { $model } needs { CODES($needs) }; { CODES($missing) } { $count ->
        [one] is
       *[other] are
    } missing.
options_exclusive = { CODES($options) } can't be used together on { $model }; give one of them.
options_order = `{ $one }` above `{ $other }`
options_order_wrong = This does not go together: { JOIN($wrong, by: " or ") } ({ JOIN($values, by: ", ") }).
options_product = { JOIN(CODES($factors), by: " times ") } makes { $product }; at most { $most } is allowed.
options_quotes = The quotes after `{ $key }=` in `options` are never closed.
options_json = The JSON after `{ $key }=` in `options` can't be read.

size_narrow = `{ $option }` can't be `{ $given }`: that is too long and narrow. The long side can be at most { $times } times the short one. It takes { $takes }.
size_narrow_listed = `{ $option }` can't be `{ $given }`: that is too long and narrow. It takes { $takes }.
size_large = `{ $option }` can't be `{ $given }`: that is too large. It takes { $takes }.
size_small = `{ $option }` can't be `{ $given }`: that is too small. It takes { $takes }.
size_small_in_all = `{ $option }` can't be `{ $given }`: that is too small. It makes { $pixels } pixels in all; at least { $least } are needed. It takes { $takes }.
lora_count = { $count } LoRAs are too many. `{ $option }` takes { $takes }.
lora_of_several = LoRA { $number } of { $count }: { $why }
lora_http = The link `{ $given }` given as `{ $option }` begins with `http://`. Only links that begin with `https://` are taken.
lora_path = `{ $option }` can't be `{ $given }`: that is neither a link that begins with `https://` nor a name at Hugging Face. It takes { $takes }.
lora_strength = The strength `{ $given }` behind the LoRA `{ $lora }` can't be used. It takes { $takes }.

# Weights: `huggingface.co/owner/name` and `civitai.com/models/…` are pages about a file.
weights_page = The link given as `{ $option }` leads to a page, not to a LoRA file. Copy the link of the file itself; mostly it ends in `.safetensors`.
weights_page_hub = The link given as `{ $option }` leads to a page about a LoRA, not to its file. Give `{ $repository }` instead, or open “Files” on that page and copy the link of the file's download arrow: `{ $file }`.
weights_page_civitai = The link given as `{ $option }` leads to a page about a LoRA, not to its file. Give this one instead: `{ $file }`.
weights_page_civitai_any = The link given as `{ $option }` leads to a page about a LoRA, not to its file. Copy the link of that page's Download button instead; it looks like `{ $file }`.

## What was set right, told on the card

notice_read = From your prompt I read { JOIN($read, by: ", ") }.
notice_read_as = `{ $written }` as `{ $option }`
notice_read_as_random = `{ $written }` as a random `{ $option }`
notice_field_wins = `{ $written }` was not used, because you gave `{ $option }` in its own field.
notice_no_option = `{ $written }` was not used: { $model } has no `{ $option }`.
notice_not_taken = `{ $written }` was not used: `{ $option }` takes { $takes } here.
notice_unknown = Left out, because it means nothing here: { CODES($flags) }. To have such words painted, put them in quotes.
notice_no_value = `{ $written }` was left out: no value stands behind it.
notice_model_given = `{ $written }` was not used: this request already has its model, { $model }.
notice_lora_tag = `{ $tag }` was left out. Give LoRAs in the field `options`, as in `loras=owner/name@0.8`, with a model that takes them.
notice_seed_random = A random `seed` was chosen.
notice_unsure = `{ $written }` is painted as words. If you meant the option, use its own field, `{ $option }`.
notice_prompt_link = I don't open links in the prompt: describe in words what you want to see.
notice_prompt_link_picture = I don't open links in the prompt. To use a picture, attach it as `{ $option }`.
notice_prompt_link_elsewhere = I don't open links in the prompt, and { $model } can't start from a picture. Models that can have the option `image`; see `/models`.
notice_link = I took the link to the file itself: `{ $link }`.

## Autocomplete

completion_no_styles = { $model } has no styles; { AND($having) } have.
completion_no_styles_at_all = { $model } has no styles.

## What they take

range = from { $low } to { $high }
range_from = of { $low } or more
range_to = of at most { $high }
takes_text = { $most ->
        [0] text
        [one] one character
       *[other] text of up to { $most } characters
    }
takes_plain_text = plain text
takes_any_integer = a whole number
    .brief = whole number
takes_integer = a whole number { $range }
    .brief = whole number { $range }
takes_any_number = a number
    .brief = number
takes_number = a number { $range }
    .brief = number { $range }
takes_boolean = `true` or `false`
takes_choice = one of { OR(CODES($choices)) }
takes_choice_of_many = one of { $count } values such as { CODES($some) } ({ $where })
    .brief = one of { $count } values such as { CODES($some) }
takes_listed_in_field = type in the field `{ $option }` to search them all
takes_listed_in_options = type `{ $option }=` in the field `options` to search them all
takes_choice_there = one of { OR(CODES($choices)) } there
takes_did_you_mean = { $takes } (did you mean { OR(CODES($close)) }?)
takes_either = { JOIN($ways, by: "; or ") }
takes_size_of = one of { OR(CODES($choices)) }
takes_size = one of { OR(CODES($choices)) }, a shape such as `16:9`, or width and height such as `1280x1024` ({ $low } to { $high } pixels a side)
takes_size_within = one of { OR(CODES($choices)) }, a shape such as `16:9`, or width and height such as `1280x1024` ({ $low } to { $high } pixels a side, at most { $pixels } pixels in all)
takes_texts = { $most ->
        [0] values, separated by commas
        [one] one value
       *[other] up to { $most } values, separated by commas
    }
takes_texts_like = { $most ->
        [0] values, separated by commas, { $pattern }
        [one] one value, { $pattern }
       *[other] up to { $most } values, separated by commas, { $pattern }
    }
takes_picture = a picture: an attachment or an https link
    .brief = picture: an attachment or an https link
takes_pictures = { $most ->
        [0] pictures, as https links separated by commas
        [one] one picture, as an https link
       *[other] up to { $most } pictures, as https links separated by commas
    }
takes_colours = { $most ->
        [0] colours such as `#ff0000,#00ff00`
        [one] one colour such as `#ff0000`
       *[other] up to { $most } colours such as `#ff0000,#00ff00`
    }
takes_palette = { $most ->
        [0] { $choices }, or colours such as `#aabbcc:0.5,#112233`
        [one] { $choices }, or one colour such as `#aabbcc`
       *[other] { $choices }, or up to { $most } colours such as `#aabbcc:0.5,#112233`
    }
takes_any_loras = { $most ->
        [0] LoRAs (https link or Hugging Face `owner/name`), separated by commas, each with its strength after `@` as in `owner/name@0.8`
        [one] one LoRA (https link or Hugging Face `owner/name`), with its strength after `@` as in `owner/name@0.8`
       *[other] up to { $most } LoRAs (https link or Hugging Face `owner/name`), separated by commas, each with its strength after `@` as in `owner/name@0.8`
    }
takes_loras = { $most ->
        [0] LoRAs (https link or Hugging Face `owner/name`), separated by commas, each with its strength after `@` as in `owner/name@0.8` { $range }
        [one] one LoRA (https link or Hugging Face `owner/name`), with its strength after `@` as in `owner/name@0.8` { $range }
       *[other] up to { $most } LoRAs (https link or Hugging Face `owner/name`), separated by commas, each with its strength after `@` as in `owner/name@0.8` { $range }
    }
takes_controlnet = a ControlNet such as `controlnet.path=owner/name controlnet.control_image_url=https://…`, or the same as JSON
    .brief = ControlNet such as `controlnet.path=owner/name controlnet.control_image_url=https://…`, or the same as JSON
takes_ip_adapter = an IP-Adapter such as `ip_adapter.path=owner/name ip_adapter.image_encoder_path=owner/name ip_adapter.image_url=https://… ip_adapter.scale=0.6`, or the same as JSON
    .brief = IP-Adapter such as `ip_adapter.path=owner/name ip_adapter.image_encoder_path=owner/name ip_adapter.image_url=https://… ip_adapter.scale=0.6`, or the same as JSON
takes_picture_link = an https link to a picture
takes_weights = an https link or a Hugging Face name such as `owner/name`
takes_file_name = the name of a file or folder
takes_options_text = text such as `steps=20 acceleration=high`
takes_pairs = pairs such as `steps=20 acceleration=high negative_prompt="blurry, dull"`
takes_pairs_or_json = one JSON object, or pairs such as `steps=20 acceleration=high negative_prompt="blurry, dull"`
option_needed = { $takes }, required
option_default = { $takes }, default { $default }
