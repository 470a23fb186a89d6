// Words for the connection, and errors: [English, Korean]. {name} is filled in.
export const SERVER_STRINGS = {
  connection: ["Connection", "서버 연결"],
  connection_here: [
    "This page comes from its server. If the server has keys, enter yours.",
    "이 페이지는 서버에서 열린 것입니다. 서버가 키를 요구하면 입력해 주세요.",
  ],
  connection_away: [
    "This page is a file on your device. Where does your Vivant server run?",
    "이 페이지는 기기에 저장된 파일입니다. Vivant 서버의 주소를 알려 주세요.",
  ],
  endpoint: ["Server address", "서버 주소"],
  endpoint_hint: [
    "For example http://127.0.0.1:8000 or your address on Modal.",
    "예: http://127.0.0.1:8000 또는 Modal에서 받은 주소",
  ],
  endpoint_bad: [
    "That is not an address. It looks like https://name.example",
    "주소 형식이 아닙니다. https://이름.example 처럼 적어 주세요.",
  ],
  key: ["API key (only if the server asks for one)", "API 키 (서버가 요구할 때만)"],
  key_needed: ["API key", "API 키"],
  key_hint: ["It is kept on this device and sent only to this server.", "이 기기에만 저장되며 이 서버로만 보냅니다."],
  key_keep: ["Remember on this device", "이 기기에 기억하기"],
  connect_do: ["Connect", "연결하기"],
  close: ["Close", "닫기"],
  server_on: ["Connected", "연결됨"],
  server_off: ["Not connected", "연결 안 됨"],
  server_wait: ["Connecting…", "연결 중…"],
  server_label: ["Server: {state}", "서버: {state}"],
  connected: ["Connected.", "연결되었습니다."],
  try_again: ["Try again", "다시 시도"],

  error_network: [
    "The server does not answer. Check that it is running, and the network to it.",
    "서버가 응답하지 않습니다. 서버가 켜져 있는지, 서버까지 네트워크가 연결되어 있는지 확인해 주세요.",
  ],
  error_endpoint_network: [
    "No answer from this address. Check the address, and that the server is running.",
    "이 주소에서 응답이 없습니다. 주소가 맞는지, 서버가 켜져 있는지 확인해 주세요.",
  ],
  error_too_many_clips: [
    "These are more clips than this server takes at once. Choose fewer repeats or pictures.",
    "이 서버가 한 번에 받는 영상 수보다 많습니다. 횟수나 사진 수를 줄여 주세요.",
  ],
  error_too_many_pictures: [
    "These are more pictures than this server takes at once. Choose fewer.",
    "이 서버가 한 번에 받는 사진 수보다 많습니다. 사진을 줄여 주세요.",
  ],
  error_too_large: [
    "The picture is too large for the server (limit {limit}). Save it smaller or as a JPEG.",
    "사진이 서버의 한도({limit})보다 큽니다. 크기를 줄이거나 JPEG로 저장해 주세요.",
  ],
  error_queue_full: [
    "The server is full at the moment. Try again in {wait}. Your settings stay here.",
    "지금은 서버에 작업이 가득 찼습니다. {wait} 뒤에 다시 시도해 주세요. 설정은 그대로 남아 있습니다.",
  ],
  error_key_limit: [
    "This key already has as many clips in work as it may have. Wait until one is finished.",
    "이 키로 만들 수 있는 만큼 이미 만들고 있습니다. 하나가 끝난 뒤 다시 시도해 주세요.",
  ],
  error_rate_limited: [
    "Too many requests in a short time. Try again in {wait}.",
    "짧은 시간에 요청이 너무 많았습니다. {wait} 뒤에 다시 시도해 주세요.",
  ],
  error_too_many_connections: [
    "Too many connections to the server are open. Close other tabs of this page and try again.",
    "서버에 열린 연결이 너무 많습니다. 이 페이지를 연 다른 탭을 닫고 다시 시도해 주세요.",
  ],
  error_missing_key: ["This server needs an API key.", "이 서버는 API 키가 필요합니다."],
  error_invalid_key: ["The server does not know this API key.", "서버에 등록되지 않은 API 키입니다."],
  error_invalid_image: [
    "The picture cannot be used. Try another one, or save it again as a JPEG.",
    "이 사진은 쓸 수 없습니다. 다른 사진을 고르거나 JPEG로 다시 저장해 주세요.",
  ],
  error_image_too_small: [
    "The picture is too small. Choose a larger one, or the original file.",
    "사진이 너무 작습니다. 더 큰 사진이나 원본 파일을 골라 주세요.",
  ],
  error_image_side_too_long: [
    "The picture is too large. Save it smaller.",
    "사진의 가로나 세로가 너무 깁니다. 크기를 줄여 저장해 주세요.",
  ],
  error_image_too_many_pixels: [
    "The picture is too large. Save it smaller.",
    "사진의 화소 수가 너무 많습니다. 크기를 줄여 저장해 주세요.",
  ],
  error_image_truncated: [
    "The picture is cut off before its end and cannot be used. Copy or download it again.",
    "파일이 중간에 끊겨 있습니다. 다시 복사하거나 내려받아 주세요.",
  ],
  error_image_damaged: [
    "The picture is damaged and cannot be read. Export or download it again.",
    "이 사진은 쓸 수 없습니다. 파일이 손상된 것 같으니 다시 내보내거나 내려받아 주세요.",
  ],
  error_image_not_an_image: [
    "The file is not a picture, whatever its name says.",
    "이름과 달리 사진 파일이 아닙니다. 다른 파일을 골라 주세요.",
  ],
  error_image_too_slow: [
    "The picture takes too long to read. Save it again as PNG or as a plain JPEG.",
    "사진을 읽는 데 너무 오래 걸립니다. PNG나 일반 JPEG로 다시 저장해 주세요.",
  ],
  error_invalid_option: ["One of the settings is not possible.", "설정 가운데 쓸 수 없는 값이 있습니다."],
  error_unknown_model: [
    "The server does not have this engine. Choose another one.",
    "서버에 없는 엔진입니다. 다른 엔진을 골라 주세요.",
  ],
  error_not_found: [
    "The server does not have this clip. It may have been deleted.",
    "서버에 이 영상이 없습니다. 삭제되었을 수 있습니다.",
  ],
  error_not_ready: ["It is not finished yet.", "아직 완성되지 않았습니다."],
  error_expired: ["This clip has expired and was deleted.", "보관 기간이 지나 영상이 삭제되었습니다."],
  error_storage_full: [
    "The server's disk is full. The operator has to free space.",
    "서버의 저장 공간이 가득 찼습니다. 서버 관리자가 공간을 비워야 합니다.",
  ],
  error_unavailable: [
    "The server cannot take work right now. Try again in {wait}.",
    "지금은 서버가 작업을 받을 수 없습니다. {wait} 뒤에 다시 시도해 주세요.",
  ],
  error_internal: ["Something went wrong on the server. Try again.", "서버에서 문제가 생겼습니다. 다시 시도해 주세요."],
  error_engine_failed: [
    "The engine stopped before the clip was finished. Try again, or use another seed.",
    "엔진이 중간에 멈췄습니다. 다시 시도하거나 시드를 바꿔 보세요.",
  ],
  error_out_of_memory: [
    "The server has too little memory. Try a shorter clip.",
    "서버의 메모리가 부족합니다. 더 짧은 영상으로 해 보세요.",
  ],
  error_missing_part: [
    "The server lacks a part for this engine. Choose another engine, or ask the operator.",
    "서버에 이 엔진의 구성 요소가 없습니다. 다른 엔진을 고르거나 서버 관리자에게 문의해 주세요.",
  ],
  error_output_not_writable: [
    "The server could not store the clip. The operator has to look into it.",
    "서버가 영상을 저장하지 못했습니다. 서버 관리자가 확인해야 합니다.",
  ],
  error_poison_job: [
    "This work stopped the server three times and is not tried again. Try other settings or another picture.",
    "이 작업 때문에 서버가 세 번 멈춰 더 시도하지 않습니다. 설정이나 사진을 바꿔 보세요.",
  ],
  error_cancelled: ["The work was cancelled.", "작업을 취소했습니다."],
  error_other: ["That did not work.", "처리하지 못했습니다."],
  error_file_page: [
    "The server is running, but it does not let in a page that is opened from a file. Start it again with: vivant " +
      "serve --file-pages",
    "서버는 켜져 있지만 파일로 연 페이지를 받지 않습니다. 서버를 이렇게 다시 켜 주세요: vivant serve --file-pages",
  ],
};
